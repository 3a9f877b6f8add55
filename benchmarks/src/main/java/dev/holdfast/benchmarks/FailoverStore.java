package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A store that is filled once, and on which several cells are measured.
 *
 * @param persistence how far acknowledged writes come
 * @param size how much data it holds
 * @param topology on how many legs it lies
 */
record FailoverStore(PersistenceMode persistence, ByteSize size, FailoverTopology topology) {
  private static final long SMALLEST_CAPACITY = 16L << 20;

  /** The cells of the faults that it survives. */
  List<FailoverCell> cells(List<FailoverFault> faults, List<LoadMix> loads) {
    List<FailoverCell> cells = new ArrayList<>();
    for (LoadMix load : loads) {
      for (FailoverFault fault : faults) {
        if (fault.isSurvivedBy(topology)) {
          cells.add(new FailoverCell(fault, topology, size, load, persistence));
        }
      }
    }
    return List.copyOf(cells);
  }

  /** The bytes that must be free where it is made. */
  long room() {
    return topology.legs() * capacity();
  }

  /** What to call it, for people. */
  String title() {
    return "%s %s, %s".formatted(topology, size, persistence);
  }

  private long capacity() {
    // A quarter more than the data for the store's own needs and for what overwriting leaves
    // behind.
    return Math.max(SMALLEST_CAPACITY, size.bytes() + size.bytes() / 4);
  }

  /**
   * Fills it and measures.
   *
   * @param directory where; null for the standard places
   * @param cells as {@link #cells} gave them
   * @param progress is told how far it is
   * @param done gets the result of each cell as soon as it is there
   * @throws Place.BadPlaceException if there is no room
   */
  void measure(
      @Nullable Path directory,
      List<FailoverCell> cells,
      FailoverSettings settings,
      Consumer<String> progress,
      Consumer<FailoverResult> done)
      throws IOException, InterruptedException {
    try (Place place = Place.create(directory, persistence, room())) {
      Dataset data = new Dataset(size, settings.seed());
      progress.accept(
          "%s in %s: filling with %,d entries"
              .formatted(title(), place.directory(), data.entries()));
      // Acknowledging each entry on the medium while filling would take FILE mode half an hour.
      try (Store store =
          builder(place).persistence(PersistenceMode.PROCESS).initialCapacity(capacity()).open()) {
        FailoverRun.fill(store, data);
      }
      Map<LoadMix, StoreRates> rates = new LinkedHashMap<>();
      try (Store store =
          builder(place).persistence(persistence).resilverRate(RatesRun.UNTHROTTLED).open()) {
        store.sync();
        RatesRun run = new RatesRun(store, data, settings, progress);
        StoreRates alone = run.alone();
        for (FailoverCell cell : cells) {
          if (!rates.containsKey(cell.load())) {
            rates.put(cell.load(), run.underLoad(alone, cell.load()));
          }
        }
      }
      for (FailoverCell cell : cells) {
        progress.accept(cell.title());
        // Opened again: errors of the cell before do not count, and nothing waits to be done.
        try (Store store =
            builder(place).persistence(persistence).heartbeat(cell.fault().heartbeat()).open()) {
          StoreRates found = rates.getOrDefault(cell.load(), StoreRates.NONE);
          done.accept(
              new FailoverRun(store, data, settings, progress)
                  .run(cell, place.fileSystem(), found));
        }
      }
    } catch (OutOfSpaceException e) {
      throw new Place.BadPlaceException(e.getMessage() + "", e);
    }
  }

  private StoreBuilder builder(Place place) throws IOException {
    Path stored = Files.createDirectories(place.directory().resolve("store"));
    // What scrubs or packs by itself would do so in some cells and not in others.
    return Store.builder(stored)
        .legs(topology.files(place.directory()))
        .scrubEvery(Duration.ZERO)
        .packColdLeavesAfter(Duration.ZERO);
  }
}
