package dev.holdfast.examples.plugpull;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Draws a run: throughput and longest operation over its whole time, and single operations around
 * the fault.
 *
 * <p><b>Threads:</b> confined to one.
 */
final class Chart {
  /**
   * What is drawn. Times are nanoseconds since the start of the run.
   *
   * @param reads one series a thread
   * @param writes one series a thread
   * @param readLog operations around the fault
   * @param writeLog operations around the fault
   * @param from where the time axis begins
   * @param until where it ends
   * @param fault when the fault was raised; null where there was none
   * @param faultName what to call it
   * @param moments what happened
   */
  record Data(
      String title,
      String subtitle,
      List<Series> reads,
      List<Series> writes,
      List<OperationLog.Operation> readLog,
      List<OperationLog.Operation> writeLog,
      long from,
      long until,
      @Nullable Long fault,
      String faultName,
      List<Timeline.Moment> moments) {}

  private static final int WIDTH = 960;
  private static final int LEFT = 78;
  private static final int RIGHT = 936;
  private static final int COLUMNS = (RIGHT - LEFT) / 2;
  private static final int PANEL_HEIGHT = 170;
  private static final int MARKS_PER_COLUMN = 6;
  private static final double ZOOM_BEFORE_NANOS = 10e6;
  private static final double ZOOM_AFTER_NANOS = 25e6;
  private static final double ZOOM_MAX_NANOS = 2e9;

  private static final String STYLE =
      """
      <style>
        .back{fill:#ffffff} text{fill:#1f2328;font-family:'DejaVu Sans',Verdana,sans-serif;font-size:12px}
        .title{font-size:18px;font-weight:bold} .faint{fill:#59636e} .panel{font-weight:bold;font-size:13px}
        .grid{stroke:#d1d9e0;stroke-width:1} .axis{stroke:#818b98;stroke-width:1}
        .read{stroke:#0969da;fill:none;stroke-width:1.6} .write{stroke:#bc4c00;fill:none;stroke-width:1.6}
        .fault{stroke:#cf222e;stroke-width:1.6} .faulttext{fill:#cf222e;font-weight:bold}
        .mark{stroke:#8250df;stroke-width:1;stroke-dasharray:3 3} .marktext{fill:#8250df;font-weight:bold;font-size:11px}
        @media (prefers-color-scheme: dark){
          .back{fill:#0d1117} text{fill:#e6edf3} .faint{fill:#9198a1}
          .grid{stroke:#2a313c} .axis{stroke:#656c76}
          .read{stroke:#4493f8} .write{stroke:#f0883e}
          .fault{stroke:#ff7b72} .faulttext{fill:#ff7b72}
          .mark{stroke:#ab7df8} .marktext{fill:#ab7df8}
        }
      </style>
      """;

  private final StringBuilder svg = new StringBuilder();
  private final Data data;

  private Chart(Data data) {
    this.data = data;
  }

  /**
   * Writes the drawing.
   *
   * @throws IOException if the file cannot be written
   */
  static void write(Data data, Path file) throws IOException {
    Path parent = file.toAbsolutePath().getParent();
    if (parent != null) {
      Files.createDirectories(parent);
    }
    Files.writeString(file, draw(data));
  }

  static String draw(Data data) {
    return new Chart(data).draw();
  }

  private String draw() {
    boolean zoom = data.fault() != null && data.readLog().size() + data.writeLog().size() > 1;
    List<Timeline.Moment> marks = zoom ? data.moments() : List.of();
    int listTop = 802;
    int rows = Math.min(MARKS_PER_COLUMN, marks.size());
    int height = zoom ? listTop + rows * 18 + 16 : 552;
    add(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\""
            + " role=\"img\">",
        WIDTH, height, WIDTH, height);
    add("<title>%s</title>", escape(data.title()));
    svg.append(STYLE);
    add("<rect class=\"back\" width=\"%d\" height=\"%d\"/>", WIDTH, height);
    add("<text class=\"title\" x=\"24\" y=\"34\">%s</text>", escape(data.title()));
    add("<text class=\"faint\" x=\"24\" y=\"54\">%s</text>", escape(data.subtitle()));
    legend();
    throughput(100);
    longest(336);
    if (zoom) {
      around(578, marks);
      list(listTop, marks);
    }
    return svg.append("</svg>\n").toString();
  }

  private void legend() {
    int x = 660;
    add("<line class=\"read\" x1=\"%d\" y1=\"30\" x2=\"%d\" y2=\"30\"/>", x, x + 24);
    add("<text x=\"%d\" y=\"34\">reads</text>", x + 30);
    add("<line class=\"write\" x1=\"%d\" y1=\"30\" x2=\"%d\" y2=\"30\"/>", x + 84, x + 108);
    add("<text x=\"%d\" y=\"34\">writes</text>", x + 114);
    if (data.fault() != null) {
      add("<line class=\"fault\" x1=\"%d\" y1=\"22\" x2=\"%d\" y2=\"38\"/>", x + 184, x + 184);
      add("<text x=\"%d\" y=\"34\">fault raised</text>", x + 192);
    }
  }

  private void throughput(int top) {
    double[] reads = sum(data.reads());
    double[] writes = sum(data.writes());
    double most = 1;
    for (int i = 0; i < COLUMNS; i++) {
      most = Math.max(most, Math.max(reads[i], writes[i]));
    }
    double step = niceStep(most / 4);
    double ceiling = Math.ceil(most / step) * step;
    panel(top, "Throughput, MB/s");
    for (double value = 0; value <= ceiling + step / 2; value += step) {
      gridLine(top + PANEL_HEIGHT - value / ceiling * PANEL_HEIGHT, trim(value));
    }
    timeAxis(top);
    line("read", reads, top, ceiling);
    line("write", writes, top, ceiling);
    faultMark(top, true);
  }

  private double[] sum(List<Series> threads) {
    double[] all = new double[COLUMNS];
    for (Series thread : threads) {
      double[] one = thread.bytesPerSecond(COLUMNS, data.from(), data.until());
      for (int i = 0; i < COLUMNS; i++) {
        all[i] += one[i] / 1e6;
      }
    }
    return all;
  }

  private void longest(int top) {
    double[] reads = most(data.reads());
    double[] writes = most(data.writes());
    double floor = 0.001;
    double ceiling = 1;
    for (int i = 0; i < COLUMNS; i++) {
      ceiling = Math.max(ceiling, Math.max(reads[i], writes[i]));
    }
    ceiling = Math.pow(10, Math.ceil(Math.log10(ceiling)));
    panel(top, "Longest operation under way, milliseconds (log scale)");
    logGrid(top, floor, ceiling);
    timeAxis(top);
    logLine("read", reads, top, floor, ceiling);
    logLine("write", writes, top, floor, ceiling);
    faultMark(top, false);
  }

  private double[] most(List<Series> threads) {
    double[] all = new double[COLUMNS];
    for (Series thread : threads) {
      double[] one = thread.longestNanos(COLUMNS, data.from(), data.until());
      for (int i = 0; i < COLUMNS; i++) {
        all[i] = Math.max(all[i], one[i] / 1e6);
      }
    }
    return all;
  }

  /** Single operations: each a stroke from its start to its end, as high as it took long. */
  private void around(int top, List<Timeline.Moment> marks) {
    Long fault = data.fault();
    if (fault == null) {
      return;
    }
    double last = fault;
    for (Timeline.Moment mark : marks) {
      if (mark.nanos() - fault < ZOOM_MAX_NANOS) {
        last = Math.max(last, (double) mark.nanos());
      }
    }
    double from = fault - ZOOM_BEFORE_NANOS;
    double until = Math.min(last + ZOOM_AFTER_NANOS, fault + ZOOM_MAX_NANOS);
    double floor = 0.001;
    double ceiling = 1;
    for (List<OperationLog.Operation> log : List.of(data.readLog(), data.writeLog())) {
      for (OperationLog.Operation operation : log) {
        if (operation.end() >= from && operation.start() <= until) {
          ceiling = Math.max(ceiling, (operation.end() - operation.start()) / 1e6);
        }
      }
    }
    ceiling = Math.pow(10, Math.ceil(Math.log10(ceiling)));
    panel(top, "Single operations around the fault, milliseconds (log scale)");
    logGrid(top, floor, ceiling);
    double step = niceStep((until - from) / 1e6 / 8);
    for (double ms = Math.ceil((from - fault) / 1e6 / step) * step;
        ms <= (until - fault) / 1e6;
        ms += step) {
      double x = x(fault + ms * 1e6, from, until);
      tick(x, top, (ms > 0 ? "+" : "") + trim(ms));
    }
    axisName(top, "milliseconds since the fault was raised");
    strokes("read", data.readLog(), top, from, until, floor, ceiling);
    strokes("write", data.writeLog(), top, from, until, floor, ceiling);
    marks(top, marks, from, until);
  }

  private void strokes(
      String role,
      List<OperationLog.Operation> log,
      int top,
      double from,
      double until,
      double floor,
      double ceiling) {
    // One stroke a pixel is all that can be seen: the longest that begins there.
    OperationLog.Operation[] shown = new OperationLog.Operation[RIGHT - LEFT + 1];
    for (OperationLog.Operation operation : log) {
      double start = Math.max((double) operation.start(), from);
      if (operation.end() < from || start > until) {
        continue;
      }
      int column = (int) (x(start, from, until) - LEFT);
      OperationLog.Operation other = shown[column];
      if (other == null || operation.end() - operation.start() > other.end() - other.start()) {
        shown[column] = operation;
      }
    }
    svg.append("<path class=\"").append(role).append("\" d=\"");
    for (OperationLog.Operation operation : shown) {
      if (operation != null) {
        double y = logY((operation.end() - operation.start()) / 1e6, top, floor, ceiling);
        double x1 = x(Math.max((double) operation.start(), from), from, until);
        double x2 = Math.max(x1 + 1.2, x(Math.min((double) operation.end(), until), from, until));
        add("M%.1f %.1fH%.1f", x1, y, x2);
      }
    }
    svg.append("\"/>\n");
  }

  private void marks(int top, List<Timeline.Moment> marks, double from, double until) {
    double[] lastX = {-100, -100, -100, -100};
    for (int i = 0; i < marks.size(); i++) {
      Timeline.Moment mark = marks.get(i);
      if (mark.nanos() < from || mark.nanos() > until) {
        continue;
      }
      double x = x((double) mark.nanos(), from, until);
      int row = 0;
      while (row < lastX.length - 1 && x - lastX[row] < 16) {
        row++;
      }
      lastX[row] = x;
      boolean fault = data.fault() != null && mark.nanos() == data.fault();
      add(
          "<line class=\"%s\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>",
          fault ? "fault" : "mark", x, top, x, top + PANEL_HEIGHT);
      add(
          "<text class=\"%s\" x=\"%.1f\" y=\"%d\">%d</text>",
          fault ? "faulttext" : "marktext", x + 3, top + 12 + row * 12, i + 1);
    }
  }

  private void list(int top, List<Timeline.Moment> marks) {
    Long fault = data.fault();
    if (fault == null) {
      return;
    }
    for (int i = 0; i < Math.min(marks.size(), 3 * MARKS_PER_COLUMN); i++) {
      Timeline.Moment mark = marks.get(i);
      int x = LEFT + i / MARKS_PER_COLUMN * 296;
      int y = top + i % MARKS_PER_COLUMN * 18;
      add(
          "<text x=\"%d\" y=\"%d\"><tspan class=\"marktext\">%d</tspan>  %s"
              + " <tspan class=\"faint\">%+.3f ms</tspan></text>",
          x, y, i + 1, escape(mark.what()), (mark.nanos() - fault) / 1e6);
    }
  }

  private void panel(int top, String name) {
    add("<text class=\"panel\" x=\"24\" y=\"%d\">%s</text>", top - 12, escape(name));
    add(
        "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>",
        LEFT, top, LEFT, top + PANEL_HEIGHT);
    add(
        "<line class=\"axis\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>",
        LEFT, top + PANEL_HEIGHT, RIGHT, top + PANEL_HEIGHT);
  }

  private void gridLine(double y, String label) {
    add("<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>", LEFT, y, RIGHT, y);
    add(
        "<text class=\"faint\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%s</text>",
        LEFT - 6, y + 4, label);
  }

  private void logGrid(int top, double floor, double ceiling) {
    for (double value = floor; value <= ceiling * 1.001; value *= 10) {
      gridLine(logY(value, top, floor, ceiling), trim(value));
    }
  }

  private void timeAxis(int top) {
    double seconds = (data.until() - data.from()) / 1e9;
    double step = niceStep(seconds / 8);
    for (double s = 0; s <= seconds; s += step) {
      tick(LEFT + s / seconds * (RIGHT - LEFT), top, trim(s));
    }
    axisName(top, "seconds since the start of the import");
  }

  private void tick(double x, int top, String label) {
    int y = top + PANEL_HEIGHT;
    add("<line class=\"axis\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", x, y, x, y + 4);
    add(
        "<text class=\"faint\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>",
        x, y + 17, label);
  }

  private void axisName(int top, String name) {
    add(
        "<text class=\"faint\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%s</text>",
        RIGHT, top + PANEL_HEIGHT + 33, name);
  }

  private void faultMark(int top, boolean labelled) {
    Long fault = data.fault();
    if (fault == null) {
      return;
    }
    double x = x(fault, (double) data.from(), (double) data.until());
    add(
        "<line class=\"fault\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>",
        x, top - 6, x, top + PANEL_HEIGHT);
    if (labelled) {
      add(
          "<text class=\"faulttext\" x=\"%.1f\" y=\"%d\">%s</text>",
          x + 5, top + 2, escape(data.faultName()));
    }
  }

  private void line(String role, double[] values, int top, double ceiling) {
    svg.append("<path class=\"").append(role).append("\" d=\"");
    for (int i = 0; i < values.length; i++) {
      double y = top + PANEL_HEIGHT - values[i] / ceiling * PANEL_HEIGHT;
      add("%s%.1f %.1f", i == 0 ? "M" : "L", columnX(i, values.length), y);
    }
    svg.append("\"/>\n");
  }

  private void logLine(String role, double[] values, int top, double floor, double ceiling) {
    svg.append("<path class=\"").append(role).append("\" d=\"");
    boolean pen = false;
    for (int i = 0; i < values.length; i++) {
      if (values[i] <= 0) {
        pen = false;
        continue;
      }
      double y = logY(values[i], top, floor, ceiling);
      add("%s%.1f %.1f", pen ? "L" : "M", columnX(i, values.length), y);
      pen = true;
    }
    svg.append("\"/>\n");
  }

  private static double columnX(int column, int columns) {
    return LEFT + (column + 0.5) * (RIGHT - LEFT) / columns;
  }

  private static double x(double nanos, double from, double until) {
    return LEFT + (nanos - from) / (until - from) * (RIGHT - LEFT);
  }

  private static double logY(double value, int top, double floor, double ceiling) {
    double part = Math.log(Math.max(value, floor) / floor) / Math.log(ceiling / floor);
    return top + PANEL_HEIGHT - part * PANEL_HEIGHT;
  }

  /** 1, 2 or 5 times a power of ten, at least {@code least}. */
  private static double niceStep(double least) {
    double power = Math.pow(10, Math.floor(Math.log10(least)));
    for (int factor : new int[] {1, 2, 5}) {
      if (factor * power >= least) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  private static String trim(double value) {
    String text = String.format(Locale.ROOT, "%.3f", value);
    text = text.replaceAll("0+$", "").replaceAll("\\.$", "");
    return text.equals("-0") ? "0" : text;
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  @SuppressWarnings("AnnotateFormatMethod") // the annotation would be one more dependency
  private void add(String format, Object... values) {
    svg.append(values.length == 0 ? format : String.format(Locale.ROOT, format, values));
    if (format.startsWith("<")) {
      svg.append('\n');
    }
  }

  static List<OperationLog.Operation> operations(List<Meter> meters, boolean writes) {
    List<OperationLog.Operation> all = new ArrayList<>();
    for (Meter meter : meters) {
      if (meter.writes() == writes) {
        all.addAll(meter.log().operations());
      }
    }
    return all;
  }
}
