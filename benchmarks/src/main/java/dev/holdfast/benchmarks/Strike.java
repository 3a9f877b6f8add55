package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.volume.VolumeLayout;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * One fault of one leg: raises it, and ends it.
 *
 * <p><b>Threads:</b> one; the load goes on meanwhile.
 */
final class Strike {
  /** More tries than it takes where one page of a thousand holds an entry. */
  private static final int MOST_TRIES = 100_000;

  private final FailoverFault fault;
  private final Store store;
  private final Dataset data;
  private final int leg;
  private final FaultInjector faults;
  private final long page;
  private final Set<Integer> hit = new HashSet<>();

  private Strike(
      FailoverFault fault,
      Store store,
      Dataset data,
      int leg,
      FaultInjector faults,
      SplittableRandom random) {
    this.fault = fault;
    this.store = store;
    this.data = data;
    this.leg = leg;
    this.faults = faults;
    this.page = fault == FailoverFault.POISON ? choosePage(random) : -1;
  }

  /**
   * Chooses what to hit, which has no effect yet.
   *
   * @throws IllegalStateException if the leg has no emulated device, or no page with entries is
   *     found
   */
  static Strike prepare(
      FailoverFault fault, Store store, Dataset data, int leg, SplittableRandom random) {
    return new Strike(fault, store, data, leg, device(store, leg).faults(), random);
  }

  static EmulatedDevice device(Store store, int leg) {
    if (store.devices().get(leg) instanceof EmulatedDevice device) {
      return device;
    }
    throw new IllegalStateException("leg " + leg + ": expected an emulated device, was another");
  }

  /** What the fault is about to hit. */
  Aim aim() {
    return fault.takesTheLeg()
        ? Aim.atEverything()
        : Aim.at(hit.stream().mapToInt(Integer::intValue).toArray());
  }

  /** The entries that can have no copy any more if the leg was the only one. */
  Set<Integer> hit() {
    return Set.copyOf(hit);
  }

  void raise() {
    switch (fault) {
      case REMOVE -> faults.remove();
      case ORDERLY -> faults.removeOrderly(FailoverFault.GRACE);
      case FS_SHUTDOWN -> faults.shutDownFileSystem();
      case POISON -> {
        BadRange _ = faults.poison(page, FaultInjector.pageSize());
        // Again: what a writer put there meanwhile is gone, too.
        hit.addAll(entriesOn(page));
      }
    }
  }

  /**
   * Puts the leg back, or whatever ends the fault; poison is ended by the store.
   *
   * @param patience how long it is tried
   * @throws IllegalStateException if the store does not take it
   */
  void end(Duration patience) {
    switch (fault) {
      case REMOVE, ORDERLY -> faults.reinsert();
      case FS_SHUTDOWN -> faults.mountFileSystem();
      case POISON -> {
        return;
      }
    }
    long begun = System.nanoTime();
    while (true) {
      try {
        store.online(leg);
        return;
      } catch (HoldfastException e) {
        // It may be looked for by the store at this moment.
        if (System.nanoTime() - begun > patience.toNanos()) {
          throw new IllegalStateException("leg " + leg + " cannot be brought back: " + e, e);
        }
        Load.parkUntil(System.nanoTime() + 1_000_000);
      }
    }
  }

  private long choosePage(SplittableRandom random) {
    int size = FaultInjector.pageSize();
    long first = VolumeLayout.RECORDS_OFFSET / size;
    long pages = store.devices().get(leg).capacity() / size;
    for (int i = 0; i < MOST_TRIES; i++) {
      long offset = random.nextLong(first, pages) * size;
      Set<Integer> entries = entriesOn(offset);
      if (!entries.isEmpty()) {
        hit.addAll(entries);
        return offset;
      }
    }
    throw new IllegalStateException(
        "leg " + leg + ": expected pages with entries alone, found none");
  }

  /** The entries on a page; none if something else lies there, too. */
  private Set<Integer> entriesOn(long offset) {
    List<StoreExtent> owners = store.owners(offset, FaultInjector.pageSize());
    Set<Integer> entries = new HashSet<>();
    for (StoreExtent owner : owners) {
      byte[] key = owner.key();
      OptionalInt index = key == null ? OptionalInt.empty() : data.indexOf(key);
      if (index.isEmpty()) {
        return Set.of();
      }
      entries.add(index.getAsInt());
    }
    return entries;
  }
}
