package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command line of the failover benchmark. */
@Command(
    name = "failover",
    abbreviateSynopsis = true,
    description = {
      "Pulls a leg out under load: switch times, longest stall, failures.",
      "",
      "Readers and writers work back to back and check every value. Each fault strikes the leg"
          + " that serves reads, and has a control window before it, as long, without a fault. The"
          + " table gives median and maximum; \"stall - control\" is of the differences.",
      "",
      "\"Fault caught\" counts from the moment the fault is raised: the pages of the emulated"
          + " device fault one after another, a real device is gone at once. The switches count"
          + " from the fault caught.",
      "",
      "Bars, in PROCESS mode in memory (tmpfs): median stall - control ≤ 5 ms from 1G on, median"
          + " read switch ≤ 1 ms. In every mode: 0 failed, 0 wrong. Exit code 1 if one is missed.",
      ""
    })
final class FailoverCommand implements Callable<Integer> {
  private static final long SMALLEST_CAPACITY = 16L << 20;
  private static final int QUICK_FAULTS = 5;
  private static final int STANDARD_FAULTS = 20;
  private static final List<ByteSize> QUICK_SIZES = List.of(ByteSize.parse("64M"));
  private static final List<ByteSize> STANDARD_SIZES = List.of(ByteSize.parse("64M"), ByteSize.GIB);

  private static final ByteSize LARGEST_SIZE = ByteSize.parse("1024G");

  @Spec private @Nullable CommandSpec spec;

  @Mixin private final CommonOptions common = new CommonOptions();

  @Option(
      names = "--sizes",
      split = ",",
      paramLabel = "SIZE",
      description = "how much data, one run each (default: 64M,1G; with --quick: 64M)")
  private @Nullable List<ByteSize> sizes;

  @Option(
      names = "--faults",
      paramLabel = "N",
      description = "faults a run (default: 20; with --quick: 5)")
  private @Nullable Integer faults;

  @Option(
      names = "--persistence",
      split = ",",
      paramLabel = "MODE",
      defaultValue = "process",
      description = "process or file, one run each (default: ${DEFAULT-VALUE})")
  private List<PersistenceMode> modes = List.of();

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description =
          "where the devices lie (default: /dev/shm for process, the directory of temporary files"
              + " for file); what is made there is removed")
  private @Nullable Path directory;

  @Option(
      names = "--readers",
      paramLabel = "N",
      defaultValue = "2",
      description = "threads that read (default: ${DEFAULT-VALUE})")
  private int readers;

  @Option(
      names = "--writers",
      paramLabel = "N",
      defaultValue = "1",
      description = "threads that write (default: ${DEFAULT-VALUE})")
  private int writers;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "of keys, values and choices (default: ${DEFAULT-VALUE})")
  private long seed;

  @Override
  public Integer call() throws Exception {
    FailoverSettings settings = settings();
    List<ByteSize> chosenSizes =
        sizes != null ? sizes : common.quick() ? QUICK_SIZES : STANDARD_SIZES;
    if (modes.contains(PersistenceMode.DAX)) {
      throw bad("--persistence: expected process or file, was dax: devices here are emulated");
    }
    for (ByteSize size : chosenSizes) {
      if (size.compareTo(LARGEST_SIZE) > 0) {
        throw bad("--sizes: expected at most " + LARGEST_SIZE + ", was " + size);
      }
    }
    common.requireWritable();

    List<FailoverResult> results = new ArrayList<>();
    for (PersistenceMode mode : modes) {
      for (ByteSize size : chosenSizes) {
        results.add(run(size, mode, settings));
      }
    }

    PrintWriter out = common.out();
    out.print(FailoverReport.table(results));
    out.println();
    List<Bar> bars = results.stream().flatMap(result -> Bar.of(result).stream()).toList();
    bars.forEach(out::println);
    for (FailoverResult result : results) {
      if (result.firstProblem() != null) {
        out.println("first problem of " + result.title() + ": " + result.firstProblem());
      }
    }
    out.flush();
    Path json = common.json();
    if (json != null) {
      Files.writeString(json, JsonWriter.write(FailoverReport.json(settings, results, bars)));
      Files.writeString(chartBeside(json), FailoverChart.draw(results));
    }
    return bars.stream().allMatch(Bar::passes) ? 0 : 1;
  }

  /** {@code x.json} has its chart in {@code x.svg}. */
  static Path chartBeside(Path json) {
    String name = String.valueOf(json.getFileName());
    String stem = name.endsWith(".json") ? name.substring(0, name.length() - 5) : name;
    return json.resolveSibling(stem + ".svg");
  }

  private FailoverSettings settings() {
    int count = faults != null ? faults : common.quick() ? QUICK_FAULTS : STANDARD_FAULTS;
    if (count < 1) {
      throw bad("--faults: expected 1 or more, was " + count);
    }
    if (readers < 1 || writers < 1) {
      throw bad("--readers, --writers: expected 1 or more, was " + Math.min(readers, writers));
    }
    return common.quick()
        ? FailoverSettings.quick(count, readers, writers, seed)
        : FailoverSettings.standard(count, readers, writers, seed);
  }

  private FailoverResult run(ByteSize size, PersistenceMode mode, FailoverSettings settings)
      throws IOException, InterruptedException {
    // A quarter more than the data for the store's own needs and for what overwriting leaves
    // behind.
    long capacity = Math.max(SMALLEST_CAPACITY, size.bytes() + size.bytes() / 4);
    try (Place place = Place.create(directory, mode, 2 * capacity)) {
      common.progress("%s %s in %s".formatted(size, mode, place.directory()));
      Path stored = place.directory().resolve("store");
      Dataset data = new Dataset(size, settings.seed());
      common.progress("filling with %,d entries".formatted(data.entries()));
      // Acknowledging each entry on the medium while filling would take FILE mode half an hour.
      try (Store store =
          Store.builder(stored)
              .persistence(PersistenceMode.PROCESS)
              .initialCapacity(capacity)
              .open()) {
        FailoverRun.fill(store, data);
      }
      try (Store store = Store.builder(stored).persistence(mode).open()) {
        store.sync();
        return new FailoverRun(store, data, settings, common::progress)
            .run(size, mode, place.fileSystem());
      }
    } catch (OutOfSpaceException e) {
      throw new Place.BadPlaceException(e.getMessage() + "", e);
    }
  }

  private ParameterException bad(String message) {
    if (spec == null) {
      throw new IllegalStateException("expected to be run by picocli");
    }
    return new ParameterException(spec.commandLine(), message);
  }
}
