package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.function.Function;

/**
 * Draws failover runs as a dot plot, a group of rows for each cell: one dot a fault, a tick at the
 * median, time on a logarithmic axis. Rows that no fault of a cell has are left out.
 */
final class FailoverChart {
  private static final int WIDTH = 860;
  private static final int LEFT = 150;
  private static final int RIGHT = 110;
  private static final int TOP = 56;
  private static final int ROW = 24;
  private static final int GROUP_HEAD = 46;
  private static final int GROUP_GAP = 14;
  private static final int FOOT = 46;
  private static final double DOT = 3.5;

  /** Dots of one row are spread over lanes, so that equal ones do not hide each other. */
  private static final int LANES = 5;

  private static final double LANE = 2.4;

  private record Row(String label, String color, Function<FaultRound, OptionalLong> figure) {}

  private static final List<Row> ROWS =
      List.of(
          new Row("fault caught", "#8e6bbf", FaultRound::caught),
          new Row("read switch", "#1f77b4", FaultRound::readSwitchAfterCaught),
          new Row("write switch", "#2a9d8f", FaultRound::writeSwitchAfterCaught),
          new Row("first good read", "#e9a23b", FaultRound::firstGoodRead),
          new Row("first good write", "#b5651d", FaultRound::firstGoodWrite),
          new Row("longest stall", "#d1495b", of(round -> round.fault())),
          new Row("control", "#7a7a7a", of(round -> round.control())));

  private final List<FailoverResult> results;
  private final int lowestDecade;
  private final int highestDecade;

  private FailoverChart(List<FailoverResult> results) {
    this.results = results;
    List<Long> all = new ArrayList<>();
    for (FailoverResult result : results) {
      for (Row row : ROWS) {
        all.addAll(values(result, row));
      }
    }
    double low = all.stream().mapToLong(Long::longValue).min().orElse(1_000);
    double high = all.stream().mapToLong(Long::longValue).max().orElse(1_000_000);
    this.lowestDecade = (int) Math.floor(Math.log10(low));
    this.highestDecade = Math.max(lowestDecade + 1, (int) Math.ceil(Math.log10(high)));
  }

  private static Function<FaultRound, OptionalLong> of(
      Function<FaultRound, FaultRound.WindowFigures> window) {
    return round -> OptionalLong.of(window.apply(round).longestNanos());
  }

  /** The SVG document. */
  static String draw(List<FailoverResult> results) {
    return new FailoverChart(List.copyOf(results)).draw();
  }

  /** The rows that a cell has figures for. */
  private static List<Row> rows(FailoverResult result) {
    return ROWS.stream().filter(row -> !values(result, row).isEmpty()).toList();
  }

  private static int height(FailoverResult result) {
    return GROUP_HEAD + rows(result).size() * ROW + GROUP_GAP;
  }

  private String draw() {
    int bottom = TOP + results.stream().mapToInt(FailoverChart::height).sum();
    StringBuilder svg = new StringBuilder();
    add(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\""
            + " height=\"%d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">",
        WIDTH,
        bottom + FOOT,
        WIDTH,
        bottom + FOOT);
    add(svg, "<title>Faults of a leg under load</title>");
    add(svg, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>");
    add(
        svg,
        "<text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">Faults of a leg under load:"
            + " one dot a fault, a bar at the median</text>");
    add(svg, "<text x=\"%d\" y=\"%d\" fill=\"#555\">median</text>", WIDTH - RIGHT + 12, TOP - 6);
    axis(svg, bottom);
    int top = TOP;
    for (FailoverResult result : results) {
      group(svg, result, top);
      top += height(result);
    }
    return svg.append("</svg>\n").toString();
  }

  private void axis(StringBuilder svg, int bottom) {
    for (int decade = lowestDecade; decade <= highestDecade; decade++) {
      double x = x(Math.pow(10, decade));
      add(
          svg,
          "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#ddd\"/>",
          x,
          TOP - 6,
          x,
          bottom);
      add(
          svg,
          "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>",
          x,
          bottom + 18,
          decadeLabel(decade));
    }
    add(
        svg,
        "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555\">time after the fault"
            + " (caught, first good) or after it was caught (switches), length of the longest"
            + " operation (stall, control)</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 36);
  }

  private void group(StringBuilder svg, FailoverResult result, int top) {
    add(
        svg,
        "<text x=\"16\" y=\"%d\" font-weight=\"bold\">%s: %s faults, %s operations/s, %s failed,"
            + " %s wrong, %s lost</text>",
        top + 18,
        escape(result.title()),
        Figures.count(result.rounds().size()),
        Figures.count(result.operationsPerSecond()),
        Figures.count(result.failed()),
        Figures.count(result.wrong()),
        Figures.count(result.lost()));
    StoreRates rates = result.rates();
    add(
        svg,
        "<text x=\"16\" y=\"%d\" fill=\"#555\">alone / under load: resilver %s / %s, scrub %s / %s;"
            + " get %s, lease %s</text>",
        top + 36,
        FailoverReport.rate(rates.resilver()),
        FailoverReport.rate(rates.resilverUnderLoad()),
        FailoverReport.rate(rates.scrub()),
        FailoverReport.rate(rates.scrubUnderLoad()),
        FailoverReport.nanos(rates.get()),
        FailoverReport.nanos(rates.lease()));
    double y = top + GROUP_HEAD + ROW / 2.0;
    for (Row row : rows(result)) {
      row(svg, row, values(result, row), y);
      y += ROW;
    }
  }

  private void row(StringBuilder svg, Row row, List<Long> values, double y) {
    add(
        svg,
        "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>",
        LEFT - 12,
        y + 4,
        row.label());
    add(
        svg,
        "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#eee\"/>",
        LEFT,
        y,
        WIDTH - RIGHT,
        y);
    int lane = 0;
    for (long value : values) {
      add(
          svg,
          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\" fill-opacity=\"0.5\"/>",
          x((double) value),
          y + (lane - LANES / 2) * LANE,
          DOT,
          row.color());
      lane = (lane + 1) % LANES;
    }
    long median = Samples.of(values.stream().mapToLong(Long::longValue)).median();
    add(
        svg,
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"3\" height=\"20\" fill=\"%s\"/>",
        x((double) median) - 1.5,
        y - 10,
        row.color());
    add(
        svg,
        "<text x=\"%d\" y=\"%.1f\">%s</text>",
        WIDTH - RIGHT + 12,
        y + 4,
        Figures.micros(median));
  }

  private static List<Long> values(FailoverResult result, Row row) {
    List<Long> values = new ArrayList<>();
    for (FaultRound round : result.rounds()) {
      // A logarithmic axis has no zero.
      row.figure().apply(round).ifPresent(value -> values.add(Math.max(1, value)));
    }
    return values;
  }

  private double x(double nanos) {
    double share = (Math.log10(nanos) - lowestDecade) / (double) (highestDecade - lowestDecade);
    return LEFT + share * (WIDTH - RIGHT - LEFT);
  }

  private static String decadeLabel(int decade) {
    String[] units = {" ns", " µs", " ms", " s"};
    int unit = Math.min(decade / 3, units.length - 1);
    return Figures.count((long) Math.pow(10, decade - 3 * unit)) + units[unit];
  }

  private static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;");
  }

  @SuppressWarnings("AnnotateFormatMethod") // the annotation would be one dependency more
  private static void add(StringBuilder svg, String format, Object... arguments) {
    svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }
}
