package dev.holdfast.benchmarks;

import dev.holdfast.AsyncWrites;
import dev.holdfast.Store;
import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What asynchronous puts cost beside those that wait. */
@Command(
    name = "async",
    abbreviateSynopsis = true,
    description = {
      "Asynchronous puts beside direct ones: acknowledged puts a second.",
      "",
      "Overwrites of 100-byte values on a mirror, in FILE and in PROCESS mode, by 1 and by 4"
          + " callers. A caller has 1 future on its way, or 256. The three take turns, a slice"
          + " each; each figure is the median of the slices, the ratio is that of asynchronous by"
          + " direct (above 1 the asynchronous path is faster). No bar.",
      ""
    })
final class AsyncCommand implements Callable<Integer> {
  private static final int ENTRIES = 20_000;
  private static final int[] ON_THEIR_WAY = {1, 256};
  private static final int WARM_SLICES = 2;

  @Mixin private final CommonOptions common = new CommonOptions();

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "where the stores lie (default: /dev/shm for PROCESS, the directory of temporary files"
              + " for FILE); what is made there is removed")
  private @Nullable Path directory;

  /** Puts of one caller for a while; how many were acknowledged. */
  @FunctionalInterface
  private interface Caller {
    long run(Store store, int first, long until) throws InterruptedException, ExecutionException;
  }

  @Override
  public Integer call() throws Exception {
    common.requireWritable();
    int slices = common.quick() ? 3 : 9;
    long sliceNanos = common.quick() ? 300_000_000L : 1_000_000_000L;
    List<Map<String, Object>> rows = new ArrayList<>();
    for (PersistenceMode mode : List.of(PersistenceMode.FILE, PersistenceMode.PROCESS)) {
      for (int callers : new int[] {1, 4}) {
        rows.addAll(measure(mode, callers, slices, sliceNanos));
      }
    }
    write(common.json(), rows);
    return 0;
  }

  private List<Map<String, Object>> measure(
      PersistenceMode mode, int callers, int slices, long sliceNanos) throws Exception {
    List<Caller> kinds = new ArrayList<>();
    kinds.add(AsyncCommand::direct);
    for (int most : ON_THEIR_WAY) {
      kinds.add((store, first, until) -> asynchronous(store, first, until, most));
    }
    List<List<Double>> rates = new ArrayList<>();
    kinds.forEach(_ -> rates.add(new ArrayList<>()));
    try (Place place = Place.create(directory, mode, 64L << 20);
        Store store = Store.builder(place.directory().resolve("store")).persistence(mode).open();
        ExecutorService pool = Executors.newFixedThreadPool(callers)) {
      for (int i = 0; i < ENTRIES; i++) {
        store.put(key(i), new byte[Entries.VALUE_LENGTH], PersistenceMode.PROCESS);
      }
      for (int slice = -WARM_SLICES; slice < slices; slice++) {
        for (int kind = 0; kind < kinds.size(); kind++) {
          double rate = slice(kinds.get(kind), store, callers, pool, sliceNanos);
          if (slice >= 0) {
            rates.get(kind).add(rate);
          }
        }
      }
    }
    List<Map<String, Object>> rows = new ArrayList<>();
    double direct = median(rates.getFirst());
    for (int kind = 0; kind < kinds.size(); kind++) {
      String name = kind == 0 ? "direct" : "async, " + ON_THEIR_WAY[kind - 1] + " on their way";
      double rate = median(rates.get(kind));
      common
          .out()
          .printf(
              Locale.ROOT,
              "%-8s %d callers, %-24s %,12.0f puts/s, ratio %.2f%n",
              mode,
              callers,
              name,
              rate,
              rate / direct);
      common.out().flush();
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("mode", mode.name());
      row.put("callers", callers);
      row.put("name", name);
      row.put("putsPerSecond", rate);
      row.put("ratio", rate / direct);
      rows.add(row);
    }
    return rows;
  }

  private static double median(List<Double> rates) {
    return rates.stream().sorted().toList().get(rates.size() / 2);
  }

  private static double slice(
      Caller caller, Store store, int callers, ExecutorService pool, long nanos) throws Exception {
    CyclicBarrier start = new CyclicBarrier(callers);
    List<Future<long[]>> parts = new ArrayList<>();
    for (int i = 0; i < callers; i++) {
      int first = i * (ENTRIES / callers);
      parts.add(
          pool.submit(() -> {
            start.await();
            long begin = System.nanoTime();
            long done = caller.run(store, first, begin + nanos);
            return new long[] {done, System.nanoTime() - begin};
          }));
    }
    double rate = 0;
    for (Future<long[]> part : parts) {
      long[] result = part.get();
      rate += 1e9 * result[0] / result[1];
    }
    return rate;
  }

  private static long direct(Store store, int first, long until) {
    byte[] value = new byte[Entries.VALUE_LENGTH];
    long done = 0;
    while (System.nanoTime() - until < 0) {
      store.put(key(next(first, done)), value);
      done++;
    }
    return done;
  }

  private static long asynchronous(Store store, int first, long until, int most)
      throws InterruptedException, ExecutionException {
    AsyncWrites async = store.async();
    byte[] value = new byte[Entries.VALUE_LENGTH];
    ArrayDeque<CompletableFuture<Void>> futures = new ArrayDeque<>();
    long done = 0;
    while (System.nanoTime() - until < 0) {
      futures.add(async.put(key(next(first, done)), value));
      done++;
      if (futures.size() == most) {
        var _ = futures.remove().get();
      }
    }
    for (CompletableFuture<Void> future : futures) {
      var _ = future.get();
    }
    return done;
  }

  private static int next(int first, long done) {
    return (int) ((first + done) % ENTRIES);
  }

  private static byte[] key(int number) {
    byte[] key = new byte[KeyKind.STRING.length()];
    Entries.key(KeyKind.STRING, Entries.scatteredId(number), key, 0);
    return key;
  }

  private static void write(@Nullable Path file, List<Map<String, Object>> rows) {
    if (file == null) {
      return;
    }
    try {
      Files.writeString(file, JsonWriter.write(rows));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
