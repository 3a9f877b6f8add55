package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.MicroLane.MicroWalk;
import dev.holdfast.benchmarks.contender.Bulk;
import dev.holdfast.benchmarks.contender.Contender;
import dev.holdfast.benchmarks.contender.ContenderKind;
import dev.holdfast.benchmarks.contender.ContenderSettings;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * A JVM that measures one contender, so that no other has formed its code, or the pointer chase. It
 * reads a command a line and answers each with a line: {@value #OK} and numbers, or {@value
 * #FAILED} and why. What the contender prints goes to standard error.
 *
 * <p>Commands, with what they answer:
 *
 * <ul>
 *   <li>{@code warm DIR ENTRIES SLICES} does everything to a small store, to have it compiled
 *   <li>{@code open DIR KEYS ORDERED ENTRIES PERSISTENCE KILLED}: nanoseconds to the first right
 *       get
 *   <li>{@code new FROM COUNT MILLIS}: puts one by one, not longer than so; operations, nanoseconds
 *   <li>{@code bulk FROM COUNT}: loads; operations, nanoseconds
 *   <li>{@code slice OP THREADS MILLIS}: operations of all threads, nanoseconds
 *   <li>{@code chase THREADS MILLIS}: the same
 *   <li>{@code copy}: bytes, nanoseconds
 *   <li>{@code hammer}: overwrites until the process is killed
 *   <li>{@code compact}, {@code close}
 * </ul>
 */
final class MicroWorker {
  static final String OK = "@ok";
  static final String FAILED = "@failed";

  private static final int MAX_THREADS = 2;
  private static final int FIRST_OPERATIONS = 5_000;
  private static final int FIRST_PUTS = 50;
  private static final int FEWEST_OPERATIONS = 20;
  private static final int MOST_OPERATIONS = 4_000_000;
  private static final int WARM_MILLIS = 50;
  private static final int WARM_PUT_MILLIS = 500;
  private static final int PUTS_AT_ONCE = 1_000;

  private final ContenderKind kind;
  private final List<ExecutorService> threads = new ArrayList<>();
  private final Map<MicroCell.Op, Double> nanosPerOperation = new EnumMap<>(MicroCell.Op.class);
  private @Nullable Contender contender;
  private @Nullable MicroStore store;
  private @Nullable Chase chase;
  private @Nullable Bulk bulk;
  private final List<MicroLane> lanes = new ArrayList<>();
  private long version;

  MicroWorker(ContenderKind kind) {
    this.kind = kind;
    for (int i = 0; i < MAX_THREADS; i++) {
      String name = "lane-" + i;
      threads.add(
          Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name(name).factory()));
    }
  }

  /** Answers commands until there are no more. */
  public static void main(String[] arguments) throws IOException {
    PrintStream answers = System.out;
    System.setOut(System.err);
    ContenderKind kind = ContenderKind.valueOf(arguments[0]);
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    MicroWorker worker = new MicroWorker(kind);
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      answers.println(worker.answer(List.of(line.split(" ", -1))));
      answers.flush();
    }
    System.exit(0);
  }

  private String answer(List<String> words) {
    try {
      StringBuilder answer = new StringBuilder(OK);
      for (long number : run(words)) {
        answer.append(' ').append(number);
      }
      return answer.toString();
    } catch (Exception | LinkageError | OutOfMemoryError e) {
      e.printStackTrace();
      Throwable cause = e;
      while (cause.getCause() != null) {
        cause = cause.getCause();
      }
      return FAILED + " " + String.valueOf(cause).replace('\n', ' ');
    }
  }

  /** Carries out a command. */
  long[] run(List<String> words) throws Exception {
    return switch (words.getFirst()) {
      case "warm" ->
          warm(
              Path.of(words.get(1)),
              Integer.parseInt(words.get(2)),
              Integer.parseInt(words.get(3)));
      case "open" ->
          open(
              Path.of(words.get(1)),
              new MicroStore(
                  KeyKind.valueOf(words.get(2)),
                  Boolean.parseBoolean(words.get(3)),
                  Integer.parseInt(words.get(4)),
                  PersistenceMode.valueOf(words.get(5))),
              Boolean.parseBoolean(words.get(6)));
      case "new" ->
          putNew(
              Integer.parseInt(words.get(1)),
              Integer.parseInt(words.get(2)),
              Integer.parseInt(words.get(3)));
      case "bulk" -> load(Integer.parseInt(words.get(1)), Integer.parseInt(words.get(2)));
      case "slice" ->
          slice(
              MicroCell.Op.valueOf(words.get(1)),
              Integer.parseInt(words.get(2)),
              Integer.parseInt(words.get(3)));
      case "chase" -> chase(Integer.parseInt(words.get(1)), Integer.parseInt(words.get(2)));
      case "copy" -> new long[] {Chase.COPIED, chase().copy()};
      case "hammer" -> hammer();
      case "compact" -> {
        contender().compact();
        yield new long[0];
      }
      case "close" -> {
        close();
        yield new long[0];
      }
      default -> throw new IllegalArgumentException("command: was " + words);
    };
  }

  private long[] open(Path directory, MicroStore opened, boolean killed) throws Exception {
    long begin = System.nanoTime();
    Contender made =
        kind.open(
            new ContenderSettings(
                directory, opened.keys(), opened.entries(), opened.persistence(), killed));
    contender = made;
    store = opened;
    version = 0;
    nanosPerOperation.clear();
    for (int i = 0; i < MAX_THREADS; i++) {
      long seed = i + 1L;
      MicroWalk walk = new MicroWalk(opened);
      lanes.add(on(i, () -> new MicroLane(opened, made, walk, seed)));
    }
    if (!killed) {
      return new long[] {0};
    }
    long wrong =
        on(
            0,
            () -> {
              MicroLane lane = lanes.getFirst();
              lane.chooseUniform(1);
              lane.beginReads();
              // What the killed process wrote last, nobody knows.
              long found = lane.gets(Long.MAX_VALUE);
              lane.endReads();
              return found;
            });
    long nanos = System.nanoTime() - begin;
    requireRight("open", wrong);
    return new long[] {nanos};
  }

  private <T> T on(int thread, Callable<T> task) throws InterruptedException, ExecutionException {
    return threads.get(thread).submit(task).get();
  }

  private static void requireRight(String what, long wrong) {
    if (wrong != 0) {
      throw new IllegalStateException(what + ": wrong answers: " + wrong);
    }
  }

  private Contender contender() {
    Contender open = contender;
    if (open == null) {
      throw new IllegalStateException("expected an open store, was none");
    }
    return open;
  }

  private MicroStore store() {
    MicroStore opened = store;
    if (opened == null) {
      throw new IllegalStateException("expected an open store, was none");
    }
    return opened;
  }

  private Chase chase() {
    Chase made = chase;
    if (made == null) {
      made = new Chase(Arena.global());
      chase = made;
    }
    return made;
  }

  /** Ends early when it takes long. */
  private long[] putNew(int from, int count, int millis) throws Exception {
    return on(
        0,
        () -> {
          MicroLane lane = lanes.getFirst();
          long nanos = 0;
          int done = 0;
          while (done < count && nanos < millis * 1_000_000L) {
            lane.chooseLoaded(from + done, Math.min(PUTS_AT_ONCE, count - done));
            long begin = System.nanoTime();
            lane.puts(0);
            nanos += System.nanoTime() - begin;
            requireRight("put", lane.wrongPuts(0));
            done += lane.count();
          }
          return new long[] {done, nanos};
        });
  }

  /** The last part commits, so that belongs to what is measured. */
  private long[] load(int from, int count) throws Exception {
    return on(
        0,
        () -> {
          MicroStore loaded = store();
          MicroLane lane = lanes.getFirst();
          lane.chooseLoaded(from, count);
          byte[] keys = lane.keys();
          int keyLength = loaded.keys().length();
          boolean last = from + count == loaded.entries();
          long begin = System.nanoTime();
          Bulk into = bulk;
          if (into == null) {
            into = contender().bulk(loaded.ordered());
            bulk = into;
          }
          for (int offset = 0; offset < count * keyLength; offset += keyLength) {
            into.put(keys, offset, lane.value(offset, 0), 0);
          }
          if (last) {
            into.close();
            bulk = null;
          }
          long nanos = System.nanoTime() - begin;
          if (last) {
            requireRight("load", lane.wrongPuts(0));
          }
          return new long[] {count, nanos};
        });
  }

  private int operations(MicroCell.Op op, int millis) {
    if (millis == Integer.MAX_VALUE) {
      return Integer.MAX_VALUE;
    }
    // Some flush with each put, whatever they are asked for.
    double first = op == MicroCell.Op.OVERWRITE ? FIRST_PUTS : FIRST_OPERATIONS;
    Double nanos = nanosPerOperation.get(op);
    double wanted = nanos == null ? first : millis * 1e6 / nanos;
    return (int) Math.clamp(wanted, FEWEST_OPERATIONS, MOST_OPERATIONS);
  }

  private long[] slice(MicroCell.Op op, int count, int millis) throws Exception {
    int operations =
        switch (op) {
          case SCAN_FORWARD, SCAN_REVERSE -> {
            int wanted = operations(op, millis);
            int all = store().entries();
            // As many entries as can be, rather than almost all of them.
            yield wanted >= all / 2 ? all : Math.min(wanted, all);
          }
          default -> operations(op, millis);
        };
    long written = op == MicroCell.Op.OVERWRITE ? ++version : version;
    CyclicBarrier start = new CyclicBarrier(count);
    List<Future<long[]>> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      MicroLane lane = lanes.get(i);
      parts.add(threads.get(i).submit(() -> part(op, lane, operations, written, start)));
    }
    long[] total = total(parts, operations);
    nanosPerOperation.put(op, (double) total[1] / operations);
    return total;
  }

  /** From the first begin to the last end. */
  private static long[] total(List<Future<long[]>> parts, long operations)
      throws InterruptedException, ExecutionException {
    long begin = Long.MAX_VALUE;
    long end = Long.MIN_VALUE;
    for (Future<long[]> part : parts) {
      long[] times = part.get();
      begin = Math.min(begin, times[0]);
      end = Math.max(end, times[1]);
    }
    return new long[] {parts.size() * operations, end - begin};
  }

  private static long[] part(
      MicroCell.Op op, MicroLane lane, int operations, long version, CyclicBarrier start)
      throws Exception {
    switch (op) {
      case GET_UNIFORM, OVERWRITE -> lane.chooseUniform(operations);
      case GET_ZIPF -> lane.chooseZipf(operations);
      case GET_IN_ORDER -> lane.chooseInOrder(operations);
      default -> {
        // Scans need no keys.
      }
    }
    boolean reads = op != MicroCell.Op.OVERWRITE;
    if (reads) {
      lane.beginReads();
    }
    start.await();
    long wrong = 0;
    long begin = System.nanoTime();
    switch (op) {
      case GET_UNIFORM, GET_ZIPF, GET_IN_ORDER -> wrong = lane.gets(version);
      case OVERWRITE -> lane.puts(version);
      case SCAN_FORWARD -> wrong = lane.scan(false, operations);
      case SCAN_REVERSE -> wrong = lane.scan(true, operations);
      default -> throw new IllegalArgumentException("slice: was " + op);
    }
    long end = System.nanoTime();
    if (reads) {
      lane.endReads();
    } else {
      wrong = lane.wrongPuts(version);
    }
    requireRight(op.name().toLowerCase(Locale.ROOT), wrong);
    return new long[] {begin, end};
  }

  private long[] chase(int count, int millis) throws Exception {
    Chase chain = chase();
    // About 100 ns a step.
    long steps = millis * 10_000L;
    CyclicBarrier start = new CyclicBarrier(count);
    List<Future<long[]>> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      long from = i * 4_000_037L + ++version * 1_000_003L;
      parts.add(
          threads
              .get(i)
              .submit(() -> {
                start.await();
                long begin = System.nanoTime();
                long end = chain.run(from, steps);
                long now = System.nanoTime();
                if (end < 0) {
                  throw new IllegalStateException("chase: ended at " + end);
                }
                return new long[] {begin, now};
              }));
    }
    return total(parts, steps);
  }

  private long[] hammer() {
    MicroLane lane = lanes.getFirst();
    long from = version;
    var _ =
        threads
            .getFirst()
            .submit(() -> {
              for (long next = from + 1; ; next++) {
                lane.chooseUniform(FIRST_OPERATIONS);
                lane.puts(next);
              }
            });
    return new long[0];
  }

  private long[] warm(Path directory, int entries, int slices) throws Exception {
    for (KeyKind keys : KeyKind.values()) {
      Path place = Files.createDirectories(directory.resolve(keys.name()));
      boolean ordered = keys == KeyKind.INT;
      var small = new MicroStore(keys, ordered, entries, PersistenceMode.PROCESS);
      open(place, small, false);
      if (ordered) {
        load(0, entries);
      } else {
        // One by one, but where that takes long, not all of them.
        int done = (int) putNew(0, entries, WARM_PUT_MILLIS)[0];
        if (done < entries) {
          load(done, entries - done);
        }
      }
      for (MicroCell.Op op :
          List.of(
              MicroCell.Op.GET_UNIFORM,
              MicroCell.Op.GET_IN_ORDER,
              MicroCell.Op.SCAN_FORWARD,
              MicroCell.Op.SCAN_REVERSE,
              MicroCell.Op.OVERWRITE)) {
        boolean scans = op == MicroCell.Op.SCAN_FORWARD || op == MicroCell.Op.SCAN_REVERSE;
        for (int i = 0; i < slices && (kind.ordered() || !scans); i++) {
          slice(op, 1, WARM_MILLIS);
        }
      }
      close();
    }
    return new long[0];
  }

  /** Closes the store, if one is open. */
  private void close() throws InterruptedException, ExecutionException {
    for (int i = 0; i < lanes.size(); i++) {
      MicroLane lane = lanes.get(i);
      on(
          i,
          () -> {
            lane.close();
            return lane;
          });
    }
    lanes.clear();
    Contender open = contender;
    contender = null;
    if (open != null) {
      open.close();
    }
  }
}
