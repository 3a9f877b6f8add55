package dev.holdfast.examples.plugpull;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes in bytes as people write them: {@code 4096}, {@code 10M}, {@code 1G}. */
final class ByteSize {
  private static final Pattern FORM = Pattern.compile("(\\d{1,18})([KMGT]?)(?:i?B)?");
  private static final String UNITS = "KMGT";

  private ByteSize() {}

  /**
   * Units are powers of 1024.
   *
   * @throws BadInputException if the text is no size
   */
  static long parse(String option, String text) {
    Matcher form = FORM.matcher(text.strip().toUpperCase(Locale.ROOT).replace("IB", "iB"));
    if (!form.matches()) {
      throw new BadInputException(
          option + ": expected a size in bytes such as 4096, 10M or 1G, was \"" + text + "\"");
    }
    long number = Long.parseLong(form.group(1));
    int shift = form.group(2).isEmpty() ? 0 : 10 * (UNITS.indexOf(form.group(2)) + 1);
    if (number > Long.MAX_VALUE >> shift) {
      throw new BadInputException(option + ": expected at most 8388607T, was \"" + text + "\"");
    }
    return number << shift;
  }

  static String show(long bytes) {
    if (bytes < 1000) {
      return bytes + " B";
    }
    double value = bytes;
    int unit = -1;
    while (value >= 1000 && unit < UNITS.length() - 1) {
      value /= 1000;
      unit++;
    }
    return String.format(
        Locale.ROOT, "%.1f %sB", value, unit == 0 ? "k" : UNITS.substring(unit, unit + 1));
  }
}
