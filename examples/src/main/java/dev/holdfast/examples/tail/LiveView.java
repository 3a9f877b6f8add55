package dev.holdfast.examples.tail;

import java.io.PrintStream;
import java.nio.charset.Charset;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Shows the topics: drawn over what was there before on a terminal, as lines elsewhere.
 *
 * <p><b>Threads:</b> one.
 */
final class LiveView {
  private static final int HISTORY = 24;
  private static final int LINES_OF_TOPIC = 3;
  private static final String BLOCKS = "▁▂▃▄▅▆▇█";
  private static final String ASCII_BLOCKS = ".:-=+*#@";

  private final PrintStream out;
  private final boolean isTerminal;
  private final int columns;
  private final String blocks;
  private final Map<String, Deque<Long>> history = new HashMap<>();
  private int drawn;

  /**
   * @param isTerminal whether lines can be drawn over
   * @param columns how wide it is
   */
  LiveView(PrintStream out, boolean isTerminal, int columns) {
    this.out = out;
    this.isTerminal = isTerminal;
    this.columns = columns;
    this.blocks =
        Charset.forName(out.charset().name()).newEncoder().canEncode('█') ? BLOCKS : ASCII_BLOCKS;
  }

  /** Shows how it is now. */
  void show(double seconds, String state, List<String> topics, EventLog log) {
    List<String> lines = new ArrayList<>();
    lines.add(String.format(Locale.ROOT, "%5.1f s  the store is %s", seconds, state));
    for (String topic : topics) {
      long count = log.count(topic);
      Deque<Long> counts = history.computeIfAbsent(topic, _ -> new ArrayDeque<>());
      counts.addLast(count);
      if (counts.size() > HISTORY) {
        counts.removeFirst();
      }
      lines.add(String.format(Locale.ROOT, "  %-10s %,7d live  %s", topic, count, drawing(counts)));
      if (isTerminal) {
        log.newest(topic, LINES_OF_TOPIC).forEach(event -> lines.add("      " + event));
      }
    }
    if (isTerminal && drawn > 0) {
      out.print("\u001b[" + drawn + "A\u001b[J");
    }
    for (String line : lines) {
      out.println(isTerminal && line.length() > columns ? line.substring(0, columns) : line);
    }
    out.flush();
    drawn = lines.size();
  }

  /** A line that stays. */
  void note(String line) {
    out.println(line);
    out.flush();
    drawn = 0;
  }

  private String drawing(Deque<Long> counts) {
    long most = counts.stream().mapToLong(Long::longValue).max().orElse(0);
    StringBuilder text = new StringBuilder();
    for (long count : counts) {
      int height = most == 0 ? 0 : (int) (count * (blocks.length() - 1) / most);
      text.append(blocks.charAt(height));
    }
    return text.toString();
  }
}
