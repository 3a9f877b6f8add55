package dev.holdfast.examples.plugpull;

import java.io.PrintStream;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Tells people how it goes: a bar that is drawn anew on a terminal, a line every few seconds
 * elsewhere.
 *
 * <p><b>Threads:</b> any.
 */
final class Console {
  private static final long LINE_NANOS = 2_000_000_000L;
  private static final long BAR_NANOS = 100_000_000L;
  private static final double LONGEST_ETA_SECONDS = 6000;
  private static final int BAR_WIDTH = 30;
  private static final int BAR_WIDTH_LEAST = 5;
  private static final int CONTINUATION_INDENT = 4;
  private static final String BLOCKS = " ▁▂▃▄▅▆▇█";
  private static final String ASCII_BLOCKS = " .:-=+*#@";

  private final PrintStream out;
  private final boolean terminal;
  private final boolean unicode;
  private final int columns;
  private boolean barShown;
  private long started = System.nanoTime();
  private long lastShown;
  private boolean anyShown;

  Console(PrintStream out, boolean terminal, int columns) {
    this.out = out;
    this.terminal = terminal;
    this.columns = columns;
    this.unicode = Charset.forName(out.charset().name()).newEncoder().canEncode('█');
  }

  /** A line; on a terminal it is wrapped at spaces. */
  synchronized void line(String text) {
    if (!terminal) {
      drawing(text);
      return;
    }
    text.lines().flatMap(line -> wrapped(line).stream()).forEach(this::drawing);
    if (text.isEmpty()) {
      drawing(text);
    }
  }

  /** A line whose characters have their places: it is never wrapped. */
  synchronized void drawing(String text) {
    clearBar();
    out.println(unicode ? text : ascii(text));
    out.flush();
  }

  /** Words that are wider than the terminal, such as paths, stay whole. */
  private List<String> wrapped(String line) {
    int indent = line.length() - line.stripLeading().length();
    String continued = " ".repeat(Math.min(indent, columns / 2) + CONTINUATION_INDENT);
    List<String> rows = new ArrayList<>();
    String rest = line;
    int text = indent;
    while (rest.length() > columns) {
      int space = rest.lastIndexOf(' ', columns);
      if (space <= text) {
        space = rest.indexOf(' ', text);
      }
      if (space < 0) {
        break;
      }
      rows.add(rest.substring(0, space).stripTrailing());
      rest = continued + rest.substring(space).stripLeading();
      text = continued.length();
    }
    rows.add(rest);
    return rows;
  }

  private static String ascii(String text) {
    return text.replace("µ", "u")
        .replace("…", "...")
        .replace("≥", ">=")
        .replace("─", "-")
        .replaceAll("[^\\x00-\\x7f]", "?");
  }

  /** A new stretch of work, with a rate of its own. */
  synchronized void startClock() {
    started = System.nanoTime();
    lastShown = started;
    anyShown = false;
  }

  /** How far the work is. */
  synchronized void progress(String what, long done, long total, String unit) {
    long now = System.nanoTime();
    if (now - lastShown < (terminal ? BAR_NANOS : LINE_NANOS) || (done >= total && !anyShown)) {
      return;
    }
    anyShown = true;
    lastShown = now;
    double seconds = (now - started) / 1e9;
    double rate = done / seconds;
    double part = total == 0 ? 1 : Math.min(1, (double) done / total);
    String eta = rate > 0 && done < total ? time((total - done) / rate) : "0 s";
    String figures =
        String.format(
            Locale.ROOT,
            "%3.0f %%  %s of %s  %s  ETA %s",
            part * 100,
            unit.equals("B") ? ByteSize.show(done) : Long.toString(done),
            unit.equals("B") ? ByteSize.show(total) : total + " " + unit,
            (unit.equals("B") ? ByteSize.show((long) rate) : Long.toString((long) rate)) + "/s",
            eta);
    if (terminal) {
      int room = columns - what.length() - figures.length() - 3;
      int width = room < BAR_WIDTH_LEAST ? 0 : Math.min(room, BAR_WIDTH);
      int full = (int) (part * width);
      String bar = (unicode ? "█" : "#").repeat(full) + (unicode ? "░" : ".").repeat(width - full);
      String text = what + " " + bar + " " + figures;
      out.print("\r" + text.substring(0, Math.min(text.length(), columns - 1)) + "\u001b[K");
      out.flush();
      barShown = true;
    } else {
      line(what + " " + figures);
    }
  }

  private static String time(double seconds) {
    // A rate of next to nothing promises nothing.
    if (seconds > LONGEST_ETA_SECONDS) {
      return "?";
    }
    return seconds < 100
        ? String.format(Locale.ROOT, "%.0f s", Math.ceil(seconds))
        : String.format(Locale.ROOT, "%.0f min", Math.ceil(seconds / 60));
  }

  private void clearBar() {
    if (barShown) {
      out.print("\r\u001b[K");
      barShown = false;
    }
  }

  /** Values as a row of blocks, the largest the highest. */
  String sparkline(double[] values) {
    String blocks = unicode ? BLOCKS : ASCII_BLOCKS;
    double most = 0;
    for (double value : values) {
      most = Math.max(most, value);
    }
    StringBuilder row = new StringBuilder();
    for (double value : values) {
      int height = most == 0 ? 0 : (int) Math.ceil(value / most * (blocks.length() - 1));
      row.append(blocks.charAt(height));
    }
    return row.toString();
  }

  /** The columns that a sparkline may take. */
  int sparklineColumns() {
    return Math.clamp(columns - 44, 20, 100);
  }

  String faultMark() {
    return unicode ? "▲" : "^";
  }
}
