package dev.holdfast.benchmarks;

import dev.holdfast.ScrubReport;
import dev.holdfast.Store;
import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** How fast a scrub verifies, on one core, beside what the machine can do at best. */
@Command(
    name = "scrub",
    abbreviateSynopsis = true,
    description = {
      "Scrub: bytes a second that one core reads and verifies, from legs in memory.",
      "",
      "Entries of 16 + 100 bytes in random order, as they are written and packed, and values of 4"
          + " KiB in extents. In the same run: CRC32C over an array and over records of 128 bytes,"
          + " and a copy, each from memory beyond the caches.",
      "",
      "Bar: ≥ 2 GB/s of what lies on the legs. Exit code 1 if it is missed.",
      ""
    })
final class ScrubCommand implements Callable<Integer> {
  private static final double BAR = 2.0;
  private static final int KEY = 16;
  private static final int SMALL = 100;
  private static final int LARGE = 4096;
  private static final int RECORD = 128;
  private static final int PASSES = 9;
  private static final int STEP = 64 << 10;

  @Mixin private final CommonOptions common = new CommonOptions();

  /** Keeps what is computed from being left out. */
  @SuppressWarnings("UnusedVariable")
  private long needed;

  /**
   * One cell.
   *
   * @param name what was scrubbed
   * @param bytes of all legs, in a pass
   * @param records in a pass
   * @param median of the passes, GB/s of processor time
   * @param best of them
   */
  private record Row(String name, long bytes, long records, double median, double best) {
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%-28s %6.0f MiB, %,10d records: %.2f GB/s per core (best %.2f)",
          name,
          bytes / 1048576.0,
          records,
          median,
          best);
    }

    Map<String, Object> json() {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("name", name);
      json.put("bytes", bytes);
      json.put("records", records);
      json.put("medianBytesPerNano", median);
      json.put("bestBytesPerNano", best);
      return json;
    }
  }

  @Override
  public Integer call() {
    common.requireWritable();
    int entries = common.quick() ? 400_000 : 4_000_000;
    List<Row> rows = new ArrayList<>();
    calibrate(common.quick() ? 128 << 20 : 512 << 20);
    try (Place place = Place.create(null, PersistenceMode.PROCESS, 8L * entries * (KEY + SMALL))) {
      try (Store store = open(place.directory().resolve("small"))) {
        for (int i = 0; i < entries; i++) {
          store.put(key(Entries.scatteredId(i)), value(i, SMALL));
        }
        rows.add(measure("entries of 116 bytes", store));
        var _ = store.compact();
        rows.add(measure("the same, packed", store));
      }
      try (Store store = open(place.directory().resolve("large"))) {
        for (int i = 0; i < entries / 16; i++) {
          store.put(key(i), value(i, LARGE));
        }
        rows.add(measure("values of 4 KiB", store));
      }
    }
    common.out().flush();
    write(common.json(), rows);
    return rows.stream().allMatch(row -> row.median >= BAR) ? 0 : 1;
  }

  private static Store open(Path directory) {
    return Store.builder(directory)
        .packColdLeavesAfter(Duration.ZERO)
        .scrubEvery(Duration.ZERO)
        .open();
  }

  private static byte[] key(int id) {
    return String.format(Locale.ROOT, "%016d", id)
        .getBytes(java.nio.charset.StandardCharsets.US_ASCII);
  }

  private static byte[] value(int id, int length) {
    byte[] value = new byte[length];
    for (int at = 0; at < length; at++) {
      value[at] = (byte) (id * 31 + at * 7);
    }
    return value;
  }

  private Row measure(String name, Store store) {
    List<Double> speeds = new ArrayList<>();
    ScrubReport report = store.scrub(); // Warm-up; the first one maps what nobody has read.
    for (int pass = 0; pass < PASSES; pass++) {
      long begin = processorNanos();
      report = store.scrub();
      speeds.add((double) report.bytesRead() / (processorNanos() - begin));
      if (report.allFaults() > 0 || !report.complete()) {
        throw new IllegalStateException("expected nothing to be found, was " + report);
      }
    }
    speeds.sort(null);
    Row row =
        new Row(
            name, report.bytesRead(), report.records(), speeds.get(PASSES / 2), speeds.getLast());
    common.out().printf("%s  %s%n", row.median >= BAR ? "PASS" : "FAIL", row);
    common.out().flush();
    return row;
  }

  /** Of the thread: what others take of the machine is not counted. */
  private static long processorNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  // ---------------------------------------------------------------- calibration

  private void calibrate(int bytes) {
    byte[] memory = new byte[bytes];
    for (int i = 0; i < bytes; i += 64) {
      memory[i] = (byte) (i >>> 6);
    }
    byte[] near = new byte[STEP];
    common
        .out()
        .printf(
            Locale.ROOT,
            "calibration, GB/s: CRC32C of an array %.1f, of records of %d bytes %.1f; copy %.1f%n",
            best(() -> checksum(memory, STEP), bytes),
            RECORD,
            best(() -> checksum(memory, RECORD), bytes),
            best(() -> copy(memory, near), bytes));
    common.out().flush();
  }

  private static long checksum(byte[] memory, int step) {
    CRC32C crc = new CRC32C();
    long sum = 0;
    for (int at = 0; at < memory.length; at += step) {
      crc.reset();
      crc.update(memory, at, step);
      sum += crc.getValue();
    }
    return sum;
  }

  private static long copy(byte[] memory, byte[] near) {
    long sum = 0;
    for (int at = 0; at < memory.length; at += STEP) {
      System.arraycopy(memory, at, near, 0, STEP);
      sum += near[at & STEP - 1];
    }
    return sum;
  }

  private double best(java.util.function.LongSupplier work, long bytes) {
    double best = 0;
    for (int round = 0; round < PASSES; round++) {
      long begin = processorNanos();
      needed += work.getAsLong();
      best = Math.max(best, (double) bytes / (processorNanos() - begin));
    }
    return best;
  }

  private static void write(@Nullable Path file, List<Row> rows) {
    if (file == null) {
      return;
    }
    try {
      Files.writeString(file, JsonWriter.write(rows.stream().map(Row::json).toList()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
