package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.MicroCell.Op;
import dev.holdfast.benchmarks.MicroJvm.ContenderFailedException;
import dev.holdfast.benchmarks.contender.ContenderKind;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Measures cells. Each contender has a JVM of its own, loads a store once and does all that is to
 * be measured on it; they take turns, a slice each, so that what disturbs the machine disturbs all
 * of them. Those that wait their turn do nothing.
 */
final class MicroRun implements AutoCloseable {
  private static final int LARGE = 5_000_000;
  private static final ByteSize HEAP = ByteSize.GIB;
  private static final ByteSize LARGE_HEAP = ByteSize.parse("4G");
  private static final int LOAD_PARTS = 20;
  private static final int HAMMER_MILLIS = 500;

  /** For the native libraries that peers unpack, and what they log. */
  private static final long SCRATCH = 1L << 30;

  /** What stores need at most, by what they hold: two legs, or copies not yet collected. */
  private static final int ROOM = 5;

  /**
   * How much is done.
   *
   * @param quick whether this is what {@code --quick} asks for
   * @param forks how often in new JVMs
   * @param warmUps slices that are not counted
   * @param slices slices that are
   * @param millis how long a slice is to take
   * @param putSeconds how long a contender may put one by one; then the rest is loaded in batches
   * @param opens how often a process is killed
   * @param warmEntries the entries of the store that is there for the code to be compiled
   * @param warmSlices how often everything is done to it
   */
  record Settings(
      boolean quick,
      int forks,
      int warmUps,
      int slices,
      int millis,
      int putSeconds,
      int opens,
      int warmEntries,
      int warmSlices) {
    static final Settings QUICK = new Settings(true, 1, 1, 3, 150, 6, 1, 30_000, 4);
    static final Settings FULL = new Settings(false, 3, 2, 5, 1_000, 900, 3, 100_000, 20);
  }

  private final Settings settings;
  private final List<ContenderKind> peers;
  private final @Nullable Path parent;
  private final MicroLedger ledger;
  private final Consumer<String> progress;
  private final Place scratch;
  private final Map<ContenderKind, MicroJvm> jvms = new EnumMap<>(ContenderKind.class);
  private ByteSize heap = HEAP;
  private final List<String> failures = new ArrayList<>();
  private final Map<ContenderKind, Long> hugePages = new EnumMap<>(ContenderKind.class);

  /**
   * Prepares a run.
   *
   * @param parent where stores lie; null for the standard places
   */
  MicroRun(
      Settings settings,
      Collection<ContenderKind> peers,
      @Nullable Path parent,
      MicroLedger ledger,
      Consumer<String> progress)
      throws IOException {
    this.settings = settings;
    this.peers = List.copyOf(peers);
    this.parent = parent;
    this.ledger = ledger;
    this.progress = progress;
    this.scratch = Place.create(null, PersistenceMode.FILE, SCRATCH);
  }

  /** Measures the calibration, then of all cells what the ledger does not have. */
  void run(List<MicroCell> cells) throws IOException, InterruptedException {
    Map<MicroStore, List<MicroCell>> stores = new LinkedHashMap<>();
    cells.forEach(cell -> stores.computeIfAbsent(cell.store(), s -> new ArrayList<>()).add(cell));
    for (int fork = 1; fork <= settings.forks(); fork++) {
      for (Map.Entry<MicroStore, List<MicroCell>> entry : stores.entrySet()) {
        MicroStore store = entry.getKey();
        // Large ones do not all fit beside each other: one peer at a time.
        boolean large = store.entries() > LARGE;
        setHeap(large ? LARGE_HEAP : HEAP);
        for (List<ContenderKind> beside :
            large ? peers.stream().map(List::of).toList() : List.of(peers)) {
          int number = fork;
          List<MicroCell> pending =
              entry.getValue().stream().filter(cell -> isPending(cell, beside, number)).toList();
          if (!pending.isEmpty()) {
            new Session(store, pending, beside, fork).run();
          }
        }
      }
      closeAll();
    }
  }

  /** Why peers were left out. */
  List<String> failures() {
    return List.copyOf(failures);
  }

  /** How much memory each had in huge pages while gets were measured, KiB; -1 if not known. */
  Map<ContenderKind, Long> hugePages() {
    return new EnumMap<>(hugePages);
  }

  /** How fast the machine is. */
  Calibration calibrate() throws IOException {
    try (MicroJvm jvm = new MicroJvm(ContenderKind.MIRROR, HEAP, scratch.directory())) {
      jvm.ask("chase", 1, settings.millis());
      List<Double> one = new ArrayList<>();
      List<Double> two = new ArrayList<>();
      List<Double> copy = new ArrayList<>();
      for (int i = 0; i < settings.slices(); i++) {
        one.add(figure(jvm.ask("chase", 1, settings.millis())));
        two.add(figure(jvm.ask("chase", 2, settings.millis())));
        copy.add(1 / figure(jvm.ask("copy")));
      }
      return new Calibration(MicroRow.median(one), MicroRow.median(two), MicroRow.median(copy));
    }
  }

  private static double figure(long[] operationsAndNanos) {
    return (double) operationsAndNanos[1] / operationsAndNanos[0];
  }

  private MicroRow.Key key(MicroCell cell, ContenderKind mode, String peer, int fork) {
    return new MicroRow.Key(
        cell.name(),
        cell.threads(),
        mode.toString(),
        cell.store().persistence(),
        peer,
        fork,
        settings.quick());
  }

  private static List<ContenderKind> modes() {
    return List.of(ContenderKind.MIRROR, ContenderKind.SINGLE);
  }

  private static boolean scales(MicroCell cell) {
    return cell.op() == Op.SCALING_GET || cell.op() == Op.SCALING_PUT;
  }

  private boolean isPending(MicroCell cell, List<ContenderKind> beside, int fork) {
    return modes().stream()
        .filter(cell::suits)
        .anyMatch(mode ->
            scales(cell)
                ? !ledger.has(key(cell, mode, MicroRow.CHASE, fork))
                : beside.stream()
                    .filter(cell::suits)
                    .anyMatch(peer -> !ledger.has(key(cell, mode, peer.toString(), fork))));
  }

  private void setHeap(ByteSize wanted) {
    if (!wanted.equals(heap)) {
      closeAll();
      heap = wanted;
    }
  }

  private void closeAll() {
    jvms.values().forEach(MicroJvm::close);
    jvms.clear();
  }

  @Override
  public void close() {
    closeAll();
    scratch.close();
  }

  /** What is measured on one kind of store at the same time. */
  private final class Session {
    private final MicroStore store;
    private final List<MicroCell> cells;
    private final List<ContenderKind> beside;
    private final int fork;
    private final List<ContenderKind> alive = new ArrayList<>();
    private @Nullable Path directory;
    private int warmUps;

    Session(MicroStore store, List<MicroCell> cells, List<ContenderKind> beside, int fork) {
      this.store = store;
      this.cells = cells;
      this.beside = beside.stream().filter(kind -> kind.offers(store.persistence())).toList();
      this.fork = fork;
    }

    void run() throws IOException, InterruptedException {
      alive.addAll(modes());
      alive.addAll(beside);
      progress.accept(
          "fork %d: %,d entries, %s keys, %s, %s: %s"
              .formatted(
                  fork,
                  store.entries(),
                  store.keys(),
                  store.ordered() ? "in order" : "in random order",
                  store.persistence(),
                  alive));
      long room = store.payload() * ROOM * alive.size();
      try (Place place = Place.create(parent, store.persistence(), room)) {
        directory = place.directory();
        startAndWarm();
        load();
        touch();
        for (MicroCell cell : cells) {
          measure(cell);
        }
        each(alive, jvm -> jvm.ask("close"));
      } finally {
        if (store.entries() > LARGE) {
          closeAll();
        }
      }
    }

    private Path place(ContenderKind kind) throws IOException {
      if (directory == null) {
        throw new IllegalStateException("expected a directory, was none");
      }
      return Files.createDirectories(directory.resolve(kind.toString()).resolve("store"));
    }

    private MicroJvm jvm(ContenderKind kind) {
      MicroJvm jvm = jvms.get(kind);
      if (jvm == null) {
        throw new IllegalStateException(kind + ": expected a JVM, was none");
      }
      return jvm;
    }

    /** Does something with each; a peer that fails is left out from then on. */
    private void each(Collection<ContenderKind> kinds, Step step)
        throws IOException, InterruptedException {
      for (ContenderKind kind : List.copyOf(kinds)) {
        if (!alive.contains(kind)) {
          continue;
        }
        try {
          step.with(jvm(kind));
        } catch (ContenderFailedException e) {
          failed(kind, e);
        }
      }
    }

    private void failed(ContenderKind kind, ContenderFailedException e) {
      if (kind.ours()) {
        throw e;
      }
      progress.accept(e.getMessage() + "; left out");
      failures.add(e.getMessage());
      alive.remove(kind);
      MicroJvm jvm = jvms.remove(kind);
      if (jvm != null) {
        jvm.close();
      }
    }

    private void startAndWarm() throws IOException, InterruptedException {
      List<ContenderKind> started = new ArrayList<>();
      for (ContenderKind kind : alive) {
        if (!jvms.containsKey(kind)) {
          jvms.put(kind, new MicroJvm(kind, heap, scratch.directory()));
          started.add(kind);
        }
      }
      // Those that take the place of killed ones must not find what these did.
      int warmed = warmUps++;
      // Side by side: nothing is measured yet.
      each(
          started,
          jvm ->
              jvm.send(
                  "warm",
                  place(jvm.kind()).resolveSibling("warm-" + warmed),
                  settings.warmEntries(),
                  settings.warmSlices()));
      each(started, MicroJvm::answer);
      progress.accept("warm");
    }

    private void open(MicroStore opened) throws IOException, InterruptedException {
      each(alive, jvm -> open(jvm, opened, false));
    }

    private long open(MicroJvm jvm, MicroStore opened, boolean killed) throws IOException {
      return jvm.ask(
              "open",
              place(jvm.kind()),
              opened.keys(),
              opened.ordered(),
              opened.entries(),
              opened.persistence(),
              killed)[0];
    }

    private void load() throws IOException, InterruptedException {
      // Each put on the medium would take minutes.
      var fast =
          new MicroStore(store.keys(), store.ordered(), store.entries(), PersistenceMode.PROCESS);
      open(fast);
      Map<ContenderKind, long[]> loaded = new EnumMap<>(ContenderKind.class);
      alive.forEach(kind -> loaded.put(kind, new long[2]));
      MicroCell oneByOne = cell(Op.PUT_NEW);
      if (oneByOne != null) {
        loadParts(loaded, "new", settings.putSeconds());
        Map<ContenderKind, List<Double>> samples = new EnumMap<>(ContenderKind.class);
        loaded.forEach((kind, sums) -> {
          samples.put(kind, List.of(figure(sums)));
          if (sums[0] < store.entries()) {
            note("%s: %s: stopped after %,d puts".formatted(oneByOne.name(), kind, sums[0]));
          }
        });
        record(oneByOne, samples);
      }
      Map<ContenderKind, List<Double>> samples = new EnumMap<>(ContenderKind.class);
      MicroCell inOrder = cell(Op.LOAD);
      if (inOrder == null) {
        // Side by side: nothing is measured.
        each(loaded.keySet(), jvm -> jvm.send("bulk", done(loaded, jvm), rest(loaded, jvm)));
        each(loaded.keySet(), MicroJvm::answer);
      } else {
        loadParts(loaded, "bulk", 0);
        loaded.forEach((kind, sums) -> samples.put(kind, List.of(figure(sums))));
        record(inOrder, samples);
      }
      if (!fast.equals(store)) {
        each(alive, jvm -> jvm.ask("close"));
        open(store);
      }
    }

    /** Has all see all of their entries once, so that no cell pays for the first time. */
    private void touch() throws IOException, InterruptedException {
      List<ContenderKind> able = alive.stream().filter(ContenderKind::ordered).toList();
      progress.accept("loaded");
      each(able, jvm -> jvm.send("slice", Op.SCAN_FORWARD, 1, Integer.MAX_VALUE));
      each(able, MicroJvm::answer);
    }

    private void note(String text) {
      progress.accept(text);
      try {
        ledger.note(Map.of("note", text));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    private static long done(Map<ContenderKind, long[]> loaded, MicroJvm jvm) {
      long[] sums = loaded.get(jvm.kind());
      return sums == null ? 0 : sums[0];
    }

    private long rest(Map<ContenderKind, long[]> loaded, MicroJvm jvm) {
      return store.entries() - done(loaded, jvm);
    }

    /**
     * Loads in turns.
     *
     * @param seconds after which one stops, 0 for never
     */
    private void loadParts(Map<ContenderKind, long[]> loaded, String how, int seconds)
        throws IOException, InterruptedException {
      int part = Math.max(1, store.entries() / LOAD_PARTS);
      boolean busy = true;
      while (busy) {
        boolean[] more = new boolean[1];
        each(
            loaded.keySet(),
            jvm -> {
              long[] sums = loaded.get(jvm.kind());
              if (sums == null
                  || sums[0] == store.entries()
                  || (seconds > 0 && sums[1] >= seconds * 1_000_000_000L)) {
                return;
              }
              long count = Math.min(part, rest(loaded, jvm));
              long[] done =
                  seconds > 0
                      ? jvm.ask(how, sums[0], count, seconds * 1_000 / LOAD_PARTS)
                      : jvm.ask(how, sums[0], count);
              sums[0] += done[0];
              sums[1] += done[1];
              more[0] = true;
            });
        loaded.keySet().retainAll(alive);
        busy = more[0];
      }
    }

    private @Nullable MicroCell cell(Op op) {
      return cells.stream().filter(cell -> cell.op() == op).findFirst().orElse(null);
    }

    private void measure(MicroCell cell) throws IOException, InterruptedException {
      switch (cell.op()) {
        case PUT_NEW, LOAD -> {
          // Measured while loading.
        }
        case SPACE_LOADED -> record(cell, space(cell));
        case SPACE_COMPACTED -> {
          List<ContenderKind> able = alive.stream().filter(cell::suits).toList();
          each(able, jvm -> jvm.ask("compact"));
          record(cell, space(cell));
          // A copy takes the place of the original only then.
          each(able, jvm -> jvm.ask("close"));
          each(able, jvm -> open(jvm, store, false));
        }
        case SCALING_GET -> scaling(cell, Op.GET_UNIFORM);
        case SCALING_PUT -> scaling(cell, Op.OVERWRITE);
        case OPEN_KILLED -> record(cell, opens());
        default -> {
          record(
              cell,
              rounds(
                  alive.stream().filter(cell::suits).toList(),
                  jvm -> figure(jvm.ask("slice", cell.op(), cell.threads(), settings.millis()))));
          if (cell.op() == Op.GET_UNIFORM) {
            each(alive, jvm -> hugePages.put(jvm.kind(), jvm.hugePages()));
          }
        }
      }
    }

    /** Slices in turns; who begins changes. */
    private Map<ContenderKind, List<Double>> rounds(
        List<ContenderKind> kinds, ToDoubleFunction<MicroJvm> slice)
        throws IOException, InterruptedException {
      Map<ContenderKind, List<Double>> samples = new EnumMap<>(ContenderKind.class);
      for (int round = 0; round < settings.warmUps() + settings.slices(); round++) {
        List<ContenderKind> turn = new ArrayList<>(kinds);
        Collections.rotate(turn, -round);
        boolean counts = round >= settings.warmUps();
        each(
            turn,
            jvm -> {
              double figure = slice.applyAsDouble(jvm);
              if (counts) {
                samples.computeIfAbsent(jvm.kind(), k -> new ArrayList<>()).add(figure);
              }
            });
      }
      samples.keySet().retainAll(alive);
      return samples;
    }

    private Map<ContenderKind, List<Double>> space(MicroCell cell)
        throws IOException, InterruptedException {
      Map<ContenderKind, List<Double>> samples = new EnumMap<>(ContenderKind.class);
      for (ContenderKind kind : alive) {
        if (cell.suits(kind)) {
          double bytes = (double) DiskUse.bytes(place(kind)) / kind.legs();
          samples.put(kind, List.of(bytes / store.payload()));
        }
      }
      return samples;
    }

    private void scaling(MicroCell cell, Op op) throws IOException, InterruptedException {
      try (MicroJvm chase = new MicroJvm(ContenderKind.MIRROR, HEAP, scratch.directory())) {
        Map<ContenderKind, List<double[]>> both = new EnumMap<>(ContenderKind.class);
        for (int round = 0; round < settings.warmUps() + settings.slices(); round++) {
          double chase1 = figure(chase.ask("chase", 1, settings.millis()));
          double chase2 = figure(chase.ask("chase", 2, settings.millis()));
          boolean counts = round >= settings.warmUps();
          each(
              modes(),
              jvm -> {
                double one = figure(jvm.ask("slice", op, 1, settings.millis()));
                double two = figure(jvm.ask("slice", op, 2, settings.millis()));
                if (counts) {
                  both.computeIfAbsent(jvm.kind(), k -> new ArrayList<>())
                      .add(new double[] {one, two, chase1, chase2});
                }
              });
        }
        for (Map.Entry<ContenderKind, List<double[]>> entry : both.entrySet()) {
          MicroRow.Key key = key(cell, entry.getKey(), MicroRow.CHASE, fork);
          if (!ledger.has(key)) {
            MicroRow row = scalingRow(key, entry.getValue());
            progress.accept(
                "%s %s: %.2f of what the chase scales"
                    .formatted(cell.name(), entry.getKey(), row.ratio()));
            ledger.add(row);
          }
        }
      }
    }

    private Map<ContenderKind, List<Double>> opens() throws IOException, InterruptedException {
      Map<ContenderKind, List<Double>> samples = new EnumMap<>(ContenderKind.class);
      for (int i = 0; i < settings.opens(); i++) {
        each(alive, jvm -> jvm.ask("hammer"));
        Thread.sleep(HAMMER_MILLIS);
        for (ContenderKind kind : alive) {
          jvm(kind).kill();
          jvms.remove(kind);
        }
        startAndWarm();
        each(
            alive,
            jvm -> {
              double nanos = open(jvm, store, true);
              samples.computeIfAbsent(jvm.kind(), k -> new ArrayList<>()).add(nanos);
            });
        samples.keySet().retainAll(alive);
      }
      return samples;
    }

    private void record(MicroCell cell, Map<ContenderKind, List<Double>> samples)
        throws IOException {
      StringBuilder line = new StringBuilder(cell.name());
      if (cell.threads() > 1) {
        line.append(" (").append(cell.threads()).append(" threads)");
      }
      String separator = ": ";
      for (Map.Entry<ContenderKind, List<Double>> entry : samples.entrySet()) {
        String figure = cell.op().unit().text(MicroRow.median(entry.getValue()));
        line.append(separator).append(entry.getKey()).append(' ').append(figure);
        separator = ", ";
      }
      progress.accept(line.toString());
      for (ContenderKind mode : modes()) {
        List<Double> ours = samples.get(mode);
        for (ContenderKind peer : beside) {
          List<Double> theirs = samples.get(peer);
          MicroRow.Key key = key(cell, mode, peer.toString(), fork);
          if (ours != null && theirs != null && !ledger.has(key)) {
            ledger.add(MicroRow.of(key, cell.op().unit(), ours, theirs));
          }
        }
      }
    }
  }

  /** Of samples of ours with one and two threads, and of the chase with one and two. */
  static MicroRow scalingRow(MicroRow.Key key, List<double[]> samples) {
    List<Double> ours = samples.stream().map(s -> s[1]).toList();
    List<Double> chase = samples.stream().map(s -> s[3]).toList();
    double ratio =
        MicroRow.median(samples.stream().map(s -> (s[0] / s[1]) / (s[2] / s[3])).toList());
    return new MicroRow(
        key, MicroUnit.NANOS, MicroRow.median(ours), MicroRow.median(chase), ratio, ours, chase);
  }

  /** Something that is done with one contender. */
  @FunctionalInterface
  private interface Step {
    void with(MicroJvm jvm) throws IOException, InterruptedException;
  }
}
