package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.StoreStats;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PmemDevice;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;

/**
 * Raises the fault.
 *
 * <p><b>Threads:</b> confined to one; writer and readers go on meanwhile.
 */
final class Striker {
  private static final long SAMPLE_NANOS = 10_000_000;

  private final Settings settings;
  private final Store store;
  private final Phases phases;
  private final Timeline timeline;

  /** The keys of records on pages that are poisoned. */
  private final Set<ByteBuffer> hit = new HashSet<>();

  Striker(Settings settings, Store store, Phases phases, Timeline timeline) {
    this.settings = settings;
    this.store = store;
    this.phases = phases;
    this.timeline = timeline;
  }

  /** The keys that a poisoned page can have taken. */
  Set<ByteBuffer> hit() {
    return hit;
  }

  /** What is to happen, prepared as far as it can be without harm. */
  interface Strike {
    void raise();
  }

  /**
   * Chooses legs and pages.
   *
   * @throws BadInputException if the store's devices cannot be broken on purpose
   */
  Strike prepare() {
    List<FaultInjector> injectors = injectors();
    return switch (settings.fault()) {
      case REMOVE -> {
        int leg = servingLeg();
        yield () -> {
          begin("leg " + leg + " is pulled out");
          injectors.get(leg).remove();
        };
      }
      case REMOVE_BOTH ->
          () -> {
            begin("both legs are pulled out");
            injectors.forEach(FaultInjector::remove);
          };
      case POISON, POISON_METADATA -> {
        int leg = servingLeg();
        List<BadRange> pages = choosePages();
        yield () -> {
          begin(poisoned(pages.size(), leg));
          for (BadRange page : pages) {
            injectors.get(leg).poison(page.offset(), page.length());
          }
          takeDownOwners(pages);
        };
      }
      case KILL, NONE, FS_SHUTDOWN, FS_SHUTDOWN_KILL ->
          throw new IllegalStateException(settings.fault() + " is not done to a device");
    };
  }

  /** The leg whose file system is shut down, and how. */
  record ShutDown(int leg, Strike strike) {}

  /** Chooses the leg that serves reads; nothing is told to anybody. */
  ShutDown prepareShutDown(List<LoopXfs> fileSystems) {
    int leg = servingLeg();
    return new ShutDown(
        leg,
        () -> {
          begin("the XFS under leg " + leg + " is shut down");
          fileSystems.get(leg).shutDown();
        });
  }

  private String poisoned(int pages, int leg) {
    return pages
        + (pages == 1 ? " page of leg " : " pages of leg ")
        + leg
        + (pages == 1 ? " is poisoned" : " are poisoned")
        + (pages < settings.pages()
            ? ": there were no more, --pages says " + settings.pages()
            : "");
  }

  private void begin(String what) {
    phases.strike();
    timeline.stamp(phases.struckAt(), "fault raised", what);
  }

  private List<FaultInjector> injectors() {
    List<FaultInjector> injectors = new ArrayList<>();
    for (PmemDevice device : store.devices()) {
      if (!(device instanceof EmulatedDevice emulated)) {
        throw new BadInputException(
            "--fault "
                + settings.fault()
                + ": expected emulated devices, was "
                + device.getClass().getSimpleName()
                + " "
                + device.name());
      }
      FaultInjector injector = emulated.faults();
      injector.seed(settings.seed());
      Duration after = settings.notifyAfter();
      if (after == null) {
        injector.notifyNever();
      } else {
        injector.notifyAfter(after);
      }
      injectors.add(injector);
    }
    return injectors;
  }

  /** The leg that most reads of this moment come from. */
  private int servingLeg() {
    List<StoreStats.Leg> before = store.stats().legs();
    LockSupport.parkNanos(SAMPLE_NANOS);
    List<StoreStats.Leg> now = store.stats().legs();
    int serving = 0;
    long most = -1;
    for (int i = 0; i < now.size(); i++) {
      long grown = now.get(i).reads() - before.get(i).reads();
      if (grown > most) {
        most = grown;
        serving = now.get(i).index();
      }
    }
    return serving;
  }

  /** Whole pages under records alone, or under metadata, at random. */
  private List<BadRange> choosePages() {
    boolean metadata = settings.fault() == FaultChoice.POISON_METADATA;
    Set<Long> candidates = new HashSet<>();
    Set<Long> excluded = new HashSet<>();
    for (StoreExtent extent : owners(0, store.devices().getFirst().capacity())) {
      // Of one leg, only what is there once: of the leaf table a second copy lies beside the first.
      boolean wanted =
          metadata
              ? extent.key() == null && (settings.mirrored() || extent.what().equals("dirty map"))
              : extent.key() != null;
      pagesOf(extent.offset(), extent.length(), wanted ? candidates : excluded);
    }
    candidates.removeAll(excluded);
    List<Long> pages = new ArrayList<>(candidates);
    if (pages.isEmpty()) {
      throw new BadInputException(
          "--fault " + settings.fault() + ": expected pages to poison, the store has none yet");
    }
    Collections.sort(pages);
    Collections.shuffle(pages, new Random(settings.seed()));
    int page = FaultInjector.pageSize();
    List<BadRange> chosen =
        pages.stream()
            .limit(settings.pages())
            .map(number -> new BadRange(number * page, page))
            .toList();
    takeDownOwners(chosen);
    return chosen;
  }

  private static void pagesOf(long offset, long length, Set<Long> into) {
    int page = FaultInjector.pageSize();
    for (long number = offset / page; number * page < offset + length; number++) {
      into.add(number);
    }
  }

  private List<StoreExtent> owners(long offset, long length) {
    return store.owners(offset, length);
  }

  /** Before and after the poison: records move while the load goes on. */
  private void takeDownOwners(List<BadRange> pages) {
    for (BadRange page : pages) {
      for (StoreExtent extent : owners(page.offset(), page.length())) {
        byte[] key = extent.key();
        if (key != null) {
          hit.add(ByteBuffer.wrap(key));
        }
      }
    }
  }
}
