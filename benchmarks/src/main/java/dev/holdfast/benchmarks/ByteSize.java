package dev.holdfast.benchmarks;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A number of bytes as people write it: {@code 4096}, {@code 64M}, {@code 1G}.
 *
 * @param bytes how many, > 0
 */
record ByteSize(long bytes) implements Comparable<ByteSize> {
  static final ByteSize GIB = new ByteSize(1L << 30);

  private static final Pattern TEXT = Pattern.compile("([0-9]{1,18})([KMG]?)");
  private static final String UNITS = "KMG";

  static ByteSize parse(String text) {
    Matcher matcher = TEXT.matcher(text.toUpperCase(Locale.ROOT));
    if (matcher.matches()) {
      String unit = matcher.group(2);
      int shift = unit.isEmpty() ? 0 : 10 * (UNITS.indexOf(unit) + 1);
      long count = Long.parseLong(matcher.group(1));
      if (count > 0 && count <= Long.MAX_VALUE >> shift) {
        return new ByteSize(count << shift);
      }
    }
    throw new IllegalArgumentException(
        "size: expected a number > 0 with K, M, G or nothing behind it, was '" + text + "'");
  }

  /** The shortest text that means exactly this many bytes. */
  @Override
  public String toString() {
    for (int unit = UNITS.length(); unit > 0; unit--) {
      long step = 1L << (10 * unit);
      if (bytes % step == 0) {
        return bytes / step + UNITS.substring(unit - 1, unit);
      }
    }
    return Long.toString(bytes);
  }

  @Override
  public int compareTo(ByteSize other) {
    return Long.compare(bytes, other.bytes);
  }

  /** Reads sizes for the command line. */
  static final class Converter implements ITypeConverter<ByteSize> {
    @Override
    public ByteSize convert(String text) {
      try {
        return parse(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
