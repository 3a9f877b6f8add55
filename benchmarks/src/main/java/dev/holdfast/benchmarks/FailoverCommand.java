package dev.holdfast.benchmarks;

import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
      "Strikes a leg under load: stalls, failures, switch times, rates of copy and scrub.",
      "",
      "One cell for each fault, topology, size and load. Readers and writers work back to back and"
          + " check every value. Each fault strikes the leg that serves reads, and has a control"
          + " window before it, as long, without a fault; \"stall - control\" is of the"
          + " differences. The first good read or write is the first that began after the fault was"
          + " caught and did what it should, counted from the moment the fault was raised; where a"
          + " page is poisoned, of an entry that lay on it.",
      "",
      "Faults: remove pulls the device out; poison takes one page that holds entries, at most 9"
          + " times a cell, because the store gives a leg up at 10; orderly tells the store first;"
          + " fs-shutdown has the medium refuse while its memory answers, which a heartbeat of 20"
          + " ms finds. A store on one leg is poisoned only: what it loses is counted as lost, and"
          + " is wrong if it was not on the page; beside writers, if it is more than pages hold.",
      "",
      "\"Fault caught\" counts from the moment the fault is raised: the pages of the emulated"
          + " device fault one after another, a real device is gone at once. The switches count"
          + " from the fault caught.",
      "",
      "Rates are of another open of the same store, which copies as fast as it can: a leg that"
          + " returns, and a scrub, alone and under the load. What a lease costs is measured more"
          + " closely by \"benchmarks/run lease\".",
      "",
      "Bars, in PROCESS mode in memory (tmpfs): median stall - control ≤ 2 ms from 1G on (aim:"
          + " ≤ 0.5 ms), median read switch ≤ 1 ms. In every mode: 0 failed, 0 wrong, and 0 lost"
          + " with more than one leg. Exit code 1 if one is missed.",
      "",
      "Everything takes hours; what has no room is skipped. --json FILE has one object a line,"
          + " written as each cell ends; beside it lies a chart.",
      ""
    })
final class FailoverCommand implements Callable<Integer> {
  private static final int QUICK_FAULTS = 5;
  private static final int STANDARD_FAULTS = 20;
  private static final List<ByteSize> QUICK_SIZES = List.of(ByteSize.parse("64M"));
  private static final List<ByteSize> STANDARD_SIZES =
      List.of(ByteSize.parse("64M"), ByteSize.GIB, ByteSize.parse("4G"));
  private static final List<FailoverFault> QUICK_KINDS =
      List.of(FailoverFault.REMOVE, FailoverFault.POISON);
  private static final List<LoadMix.Named> QUICK_LOADS = List.of(LoadMix.Named.MIXED);

  private static final ByteSize LARGEST_SIZE = ByteSize.parse("1024G");

  @Spec private @Nullable CommandSpec spec;

  @Mixin private final CommonOptions common = new CommonOptions();

  @Option(
      names = "--fault",
      split = ",",
      paramLabel = "FAULT",
      description = {
        "${COMPLETION-CANDIDATES} (default: all; with --quick: remove,poison)",
      })
  private @Nullable List<FailoverFault> kinds;

  @Option(
      names = "--topology",
      split = ",",
      paramLabel = "LEGS",
      description = "${COMPLETION-CANDIDATES}: one, two or three legs (default: all)")
  private @Nullable List<FailoverTopology> topologies;

  @Option(
      names = "--sizes",
      split = ",",
      paramLabel = "SIZE",
      description = "how much data (default: 64M,1G,4G; with --quick: 64M)")
  private @Nullable List<ByteSize> sizes;

  @Option(
      names = "--load",
      split = ",",
      paramLabel = "LOAD",
      description =
          "read (readers alone), mixed (both), write (writers alone); default: all; with --quick:"
              + " mixed")
  private @Nullable List<LoadMix.Named> loads;

  @Option(
      names = "--faults",
      paramLabel = "N",
      description = "faults a cell (default: 20; with --quick: 5)")
  private @Nullable Integer faults;

  @Option(
      names = "--persistence",
      split = ",",
      paramLabel = "MODE",
      defaultValue = "process",
      description = "process or file (default: ${DEFAULT-VALUE})")
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
      description = "threads that read, of a load that reads (default: ${DEFAULT-VALUE})")
  private int readers;

  @Option(
      names = "--writers",
      paramLabel = "N",
      defaultValue = "1",
      description = "threads that write, of a load that writes (default: ${DEFAULT-VALUE})")
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
    Map<FailoverStore, List<FailoverCell>> plan = plan();
    common.requireWritable();
    Map<FailoverStore, String> skipped = withoutRoom(plan.keySet());
    if (skipped.size() == plan.size()) {
      throw new Place.BadPlaceException(skipped.values().iterator().next());
    }
    begin(settings);
    List<FailoverResult> results = new ArrayList<>();
    int cells = plan.values().stream().mapToInt(List::size).sum();
    int begun = 0;
    for (Map.Entry<FailoverStore, List<FailoverCell>> entry : plan.entrySet()) {
      FailoverStore store = entry.getKey();
      common.progress(
          "cells %d to %d of %d".formatted(begun + 1, begun + entry.getValue().size(), cells));
      begun += entry.getValue().size();
      String why = skipped.get(store);
      if (why == null) {
        try {
          store.measure(
              directory,
              entry.getValue(),
              settings,
              common::progress,
              result -> add(result, results));
          continue;
        } catch (Place.BadPlaceException e) {
          why = String.valueOf(e.getMessage());
          skipped.put(store, why);
        }
      }
      common.progress("skipped: " + store.title() + ": " + why);
      write(FailoverReport.skipped(store, why));
    }
    return report(results, skipped);
  }

  private int report(List<FailoverResult> results, Map<FailoverStore, String> skipped) {
    if (results.isEmpty()) {
      throw new Place.BadPlaceException(skipped.values().iterator().next());
    }
    PrintWriter out = common.out();
    out.println(FailoverReport.table(results));
    out.println(FailoverReport.steps(results));
    out.println(FailoverReport.rates(results));
    skipped.forEach((store, why) -> out.println("skipped: " + store.title() + ": " + why));
    List<Bar> bars = results.stream().flatMap(result -> Bar.of(result).stream()).toList();
    bars.forEach(out::println);
    for (FailoverResult result : results) {
      if (result.firstProblem() != null) {
        out.println("first problem of " + result.title() + ": " + result.firstProblem());
      }
    }
    out.flush();
    return bars.stream().allMatch(Bar::passes) ? 0 : 1;
  }

  // ---------------------------------------------------------------- what is measured

  /** The stores, and the cells of each. */
  private Map<FailoverStore, List<FailoverCell>> plan() {
    if (modes.contains(PersistenceMode.DAX)) {
      throw bad("--persistence: expected process or file, was dax: devices here are emulated");
    }
    List<ByteSize> chosenSizes =
        sizes != null ? sizes : common.quick() ? QUICK_SIZES : STANDARD_SIZES;
    for (ByteSize size : chosenSizes) {
      if (size.compareTo(LARGEST_SIZE) > 0) {
        throw bad("--sizes: expected at most " + LARGEST_SIZE + ", was " + size);
      }
    }
    List<FailoverFault> chosenKinds =
        kinds != null ? kinds : common.quick() ? QUICK_KINDS : List.of(FailoverFault.values());
    List<LoadMix> chosenLoads =
        (loads != null ? loads : common.quick() ? QUICK_LOADS : List.of(LoadMix.Named.values()))
            .stream().map(load -> load.of(readers, writers)).toList();
    List<FailoverTopology> chosenTopologies =
        topologies != null ? topologies : List.of(FailoverTopology.values());
    Map<FailoverStore, List<FailoverCell>> plan = new LinkedHashMap<>();
    for (PersistenceMode mode : modes) {
      for (ByteSize size : chosenSizes) {
        for (FailoverTopology topology : chosenTopologies) {
          FailoverStore store = new FailoverStore(mode, size, topology);
          List<FailoverCell> cells = store.cells(chosenKinds, chosenLoads);
          if (!cells.isEmpty()) {
            plan.put(store, cells);
          }
        }
      }
    }
    if (plan.isEmpty()) {
      throw bad("--topology single: expected poison among --fault, was " + chosenKinds);
    }
    return plan;
  }

  /** The stores that would not fit, and why; nothing is left there. */
  private Map<FailoverStore, String> withoutRoom(Iterable<FailoverStore> stores) {
    Map<FailoverStore, String> without = new LinkedHashMap<>();
    for (FailoverStore store : stores) {
      try {
        Place.create(directory, store.persistence(), store.room()).close();
      } catch (Place.BadPlaceException e) {
        without.put(store, String.valueOf(e.getMessage()));
      }
    }
    return without;
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
        ? FailoverSettings.quick(count, seed)
        : FailoverSettings.standard(count, seed);
  }

  // ---------------------------------------------------------------- files

  /** Begins the file anew. */
  private void begin(FailoverSettings settings) throws IOException {
    Path json = common.json();
    if (json != null) {
      Files.writeString(json, JsonWriter.line(FailoverReport.head(settings)));
    }
  }

  private void add(FailoverResult result, List<FailoverResult> results) {
    results.add(result);
    write(FailoverReport.row(result));
    Path json = common.json();
    if (json != null) {
      try {
        Files.writeString(chartBeside(json), FailoverChart.draw(results));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private void write(Map<String, Object> row) {
    Path json = common.json();
    if (json != null) {
      try {
        Files.writeString(json, JsonWriter.line(row), StandardOpenOption.APPEND);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** {@code x.json} has its chart in {@code x.svg}. */
  static Path chartBeside(Path json) {
    String name = String.valueOf(json.getFileName());
    String stem = name.endsWith(".json") ? name.substring(0, name.length() - 5) : name;
    return json.resolveSibling(stem + ".svg");
  }

  private ParameterException bad(String message) {
    if (spec == null) {
      throw new IllegalStateException("expected to be run by picocli");
    }
    return new ParameterException(spec.commandLine(), message);
  }
}
