package dev.holdfast.benchmarks;

import dev.holdfast.pmem.PersistenceMode;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What was measured of ours and of a peer in one cell and one pair of JVMs.
 *
 * @param key what was measured
 * @param unit what the figures count
 * @param ours the median of our samples
 * @param theirs the median of the peer's
 * @param ratio theirs / ours; above 1 ours is the better
 * @param oursSamples one figure a slice
 * @param peerSamples one figure a slice
 */
record MicroRow(
    Key key,
    MicroUnit unit,
    double ours,
    double theirs,
    double ratio,
    List<Double> oursSamples,
    List<Double> peerSamples) {
  /** The peer's name in rows of how two threads scale. */
  static final String CHASE = "chase";

  /**
   * What was measured: a row that has it need not be measured again.
   *
   * @param cell the name of the cell
   * @param threads how many threads
   * @param mode mirror or single
   * @param persistence what an acknowledged put survives
   * @param peer the name of the peer
   * @param fork which JVMs, from 1
   * @param quick whether less of everything was done
   */
  record Key(
      String cell,
      int threads,
      String mode,
      PersistenceMode persistence,
      String peer,
      int fork,
      boolean quick) {
    Key ofFork(int other) {
      return new Key(cell, threads, mode, persistence, peer, other, quick);
    }
  }

  static MicroRow of(Key key, MicroUnit unit, List<Double> ours, List<Double> theirs) {
    double mine = median(ours);
    double other = median(theirs);
    return new MicroRow(key, unit, mine, other, other / mine, ours, theirs);
  }

  /** The middle one, or halfway between the two in the middle. */
  static double median(Collection<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int size = sorted.size();
    return (sorted.get((size - 1) / 2) + sorted.get(size / 2)) / 2;
  }

  /** One row for all forks: the medians of their figures. The fork is then 0. */
  static MicroRow merged(List<MicroRow> forks) {
    MicroRow first = forks.getFirst();
    return new MicroRow(
        first.key().ofFork(0),
        first.unit(),
        median(forks.stream().map(MicroRow::ours).toList()),
        median(forks.stream().map(MicroRow::theirs).toList()),
        median(forks.stream().map(MicroRow::ratio).toList()),
        List.of(),
        List.of());
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("cell", key.cell());
    json.put("threads", key.threads());
    json.put("mode", key.mode());
    json.put("ours" + unit.suffix(), rounded(ours));
    json.put("peer", key.peer());
    json.put("peer" + unit.suffix(), rounded(theirs));
    json.put("ratio", rounded(ratio));
    json.put("durability", key.persistence().name());
    json.put("fork", key.fork());
    json.put("quick", key.quick());
    json.put("oursSamples", oursSamples.stream().map(MicroRow::rounded).toList());
    json.put("peerSamples", peerSamples.stream().map(MicroRow::rounded).toList());
    return json;
  }

  /**
   * Reads what {@link #json} made.
   *
   * @throws IllegalArgumentException if it is something else
   */
  static MicroRow of(Map<String, Object> json) {
    MicroUnit unit = json.containsKey("oursNanos") ? MicroUnit.NANOS : MicroUnit.FACTOR;
    Key key =
        new Key(
            field(json, "cell", String.class),
            field(json, "threads", Number.class).intValue(),
            field(json, "mode", String.class),
            PersistenceMode.valueOf(field(json, "durability", String.class)),
            field(json, "peer", String.class),
            field(json, "fork", Number.class).intValue(),
            field(json, "quick", Boolean.class));
    return new MicroRow(
        key,
        unit,
        field(json, "ours" + unit.suffix(), Number.class).doubleValue(),
        field(json, "peer" + unit.suffix(), Number.class).doubleValue(),
        field(json, "ratio", Number.class).doubleValue(),
        samples(field(json, "oursSamples", List.class)),
        samples(field(json, "peerSamples", List.class)));
  }

  private static List<Double> samples(List<?> values) {
    return values.stream().map(value -> ((Number) value).doubleValue()).toList();
  }

  private static <T> T field(Map<String, Object> json, String name, Class<T> type) {
    Object value = json.get(name);
    if (!type.isInstance(value)) {
      throw new IllegalArgumentException(
          name + ": expected a " + type.getSimpleName() + ", was " + value);
    }
    return type.cast(value);
  }

  private static double rounded(double value) {
    return Math.round(value * 1e3) / 1e3;
  }
}
