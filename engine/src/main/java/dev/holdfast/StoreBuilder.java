package dev.holdfast;

import com.sun.management.OperatingSystemMXBean;
import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.tree.BatchObserver;
import dev.holdfast.volume.SwitchObserver;
import dev.holdfast.volume.VolumeLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/** Options of a store that is about to be opened. None is needed. */
public final class StoreBuilder {
  /** A time that no store lives to see. */
  private static final Duration EVER = Duration.ofDays(36_500);

  /** The smallest budget: the indexes of a store with few entries take a part of it. */
  static final long MIN_MEMORY = 2L << 20;

  /** The slowest copy: a region in a second. */
  private static final long MIN_RATE = VolumeLayout.REGION_SIZE;

  /** Looked up once: it takes classes that nothing else needs. */
  private static final long STANDARD_MEMORY = memoryOfTheMachine() / 2;

  /** The smallest volume: a little room behind the metadata. */
  static final long MIN_CAPACITY = VolumeLayout.RECORDS_OFFSET + (1 << 20);

  final Path directory;
  int legs = 2;
  PersistenceMode persistence = PersistenceMode.PROCESS;
  List<Path> legFiles = List.of();
  long initialCapacity = 16L << 20;
  long maxCapacity = VolumeLayout.MAX_CAPACITY;
  long snapshotBytes = 1L << 30;
  long memoryBudget = STANDARD_MEMORY;
  long resilverRate = 256L << 20;
  Duration packColdLeavesAfter = Duration.ofMinutes(5);
  Duration heartbeat = Duration.ofSeconds(1);
  Duration scrubEvery = Duration.ofDays(14);
  long scrubRate = 64L << 20;

  /** How often it is written down how far the scrub is; tests have their own. */
  Duration scrubCheckpoint = Duration.ofSeconds(10);

  boolean readOnly;
  boolean openDegraded;
  FailurePolicy policy = FailurePolicy.standard();
  SwitchObserver observer = SwitchObserver.NONE;
  BatchObserver batchObserver = BatchObserver.NONE;

  /** By which errors are counted in time; tests have their own. */
  LongSupplier clock = System::nanoTime;

  /**
   * Whether leaves that nobody asks for are read, too, at once or in the background; not where a
   * test wants to be the first.
   */
  boolean buildsAhead = true;

  final List<HealthListener> listeners = new ArrayList<>();

  StoreBuilder(Path directory) {
    this.directory = directory;
  }

  /** One leg instead of a mirror of two. An existing store has the topology it was created with. */
  public StoreBuilder single() {
    legs = 1;
    return this;
  }

  /** A mirror of two legs, the default. */
  public StoreBuilder mirror() {
    legs = 2;
    return this;
  }

  /**
   * How far an acknowledged write has come; default {@link PersistenceMode#PROCESS}.
   *
   * @param mode PROCESS or FILE; DAX only where the loss of power is emulated, see {@link
   *     dev.holdfast.pmem.CrashRecorder}
   */
  public StoreBuilder persistence(PersistenceMode mode) {
    persistence = mode;
    return this;
  }

  /**
   * Where the device files of the legs lie, one a leg; default {@code leg-0.pmem}, … in the
   * directory. Two legs on one file system survive injected and media faults, not the loss of what
   * both lie on.
   */
  public StoreBuilder legs(Path... files) {
    if (files.length == 0) {
      throw new IllegalArgumentException("legs: expected at least one file, was none");
    }
    if (List.of(files).stream().map(Path::toAbsolutePath).distinct().count() != files.length) {
      throw new IllegalArgumentException("legs: expected different files, was one file twice");
    }
    legFiles = List.of(files);
    legs = files.length;
    return this;
  }

  /** The bytes of a leg at creation; default 16 MiB, less where room is short; ≥ 2 MiB. */
  public StoreBuilder initialCapacity(long bytes) {
    if (bytes < MIN_CAPACITY || bytes > VolumeLayout.MAX_CAPACITY) {
      throw new IllegalArgumentException(
          "initialCapacity: expected "
              + MIN_CAPACITY
              + " to "
              + VolumeLayout.MAX_CAPACITY
              + ", was "
              + bytes);
    }
    initialCapacity = bytes;
    return this;
  }

  /** The bytes that a leg grows to at most; default as far as there is room; ≥ 2 MiB. */
  public StoreBuilder maxCapacity(long bytes) {
    if (bytes < MIN_CAPACITY) {
      throw new IllegalArgumentException(
          "maxCapacity: expected at least " + MIN_CAPACITY + ", was " + bytes);
    }
    maxCapacity = Math.min(bytes, VolumeLayout.MAX_CAPACITY);
    return this;
  }

  /**
   * The bytes of a leg that may be kept for snapshots alone: former values that an open one still
   * shows. Beyond that, or where the store has no room left, the oldest snapshot ends with a {@link
   * dev.holdfast.error.SnapshotTooOldException}, so that no snapshot keeps a store from taking
   * writes. Default 1 GiB; ≥ 0. The versions of one key take 380 KiB at most in any case, and the
   * oldest snapshot of those that have one ends beyond that.
   */
  public StoreBuilder snapshotBytes(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("snapshotBytes: expected at least 0, was " + bytes);
    }
    snapshotBytes = bytes;
    return this;
  }

  /**
   * The bytes of memory off the heap that the store's indexes and descriptors may take: 8 to 24 for
   * an entry, and 3 for 1,000 bytes of a leg's capacity. Where another entry would take more, it is
   * refused with an {@link dev.holdfast.error.OutOfMemoryBudgetException}; reads, overwrites and
   * removes go on. A store whose entries need more is not opened. Default half of the memory of the
   * machine, or of the container; ≥ 2 MiB. What is in use says {@link StoreStats#memory}.
   */
  public StoreBuilder memoryBudget(long bytes) {
    if (bytes < MIN_MEMORY) {
      throw new IllegalArgumentException(
          "memoryBudget: expected at least " + MIN_MEMORY + ", was " + bytes);
    }
    memoryBudget = bytes;
    return this;
  }

  /**
   * Packs in the background what nobody has written to for so long: what lies there takes less room
   * then, and the next write there takes longer once. It writes at most 64 KiB in 5 milliseconds,
   * and not while a snapshot is open; {@link Store#compact()} does the same at once, to all.
   * Default 5 minutes; zero: nothing is packed; else at least a millisecond.
   */
  public StoreBuilder packColdLeavesAfter(Duration time) {
    if (time.isNegative() || (!time.isZero() && time.compareTo(Duration.ofMillis(1)) < 0)) {
      throw new IllegalArgumentException(
          "packColdLeavesAfter: expected zero, or a millisecond or more, was " + time);
    }
    packColdLeavesAfter = time.compareTo(EVER) < 0 ? time : EVER;
    return this;
  }

  /**
   * The most bytes that are copied in a second to a leg that came back. Default 256 MiB; ≥ 1 MiB. A
   * region of 1 MiB takes no writes while it is copied, and the copier takes a core while it works:
   * a lower rate leaves more to operations, a higher one ends the time with one copy less sooner.
   * How far a copy is says {@link StoreStats#resilver}.
   */
  public StoreBuilder resilverRate(long bytesPerSecond) {
    if (bytesPerSecond < MIN_RATE) {
      throw new IllegalArgumentException(
          "resilverRate: expected at least " + MIN_RATE + ", was " + bytesPerSecond);
    }
    resilverRate = bytesPerSecond;
    return this;
  }

  /**
   * Reads and verifies everything in the background, so long after it was done last or the store
   * was made, and has repaired what is wrong, see {@link Store#scrub}. A pass that a close or the
   * death of the process cut short goes on at the next open. Default 14 days: md arrays and pools
   * of ZFS are scrubbed once a month on Debian, and here it costs no device its head movements.
   * Zero: only when a user asks for it; else at least a millisecond. Not where a store is opened
   * {@link #readOnly}.
   */
  public StoreBuilder scrubEvery(Duration time) {
    if (time.isNegative() || (!time.isZero() && time.compareTo(Duration.ofMillis(1)) < 0)) {
      throw new IllegalArgumentException(
          "scrubEvery: expected zero, or a millisecond or more, was " + time);
    }
    scrubEvery = time.compareTo(EVER) < 0 ? time : EVER;
    return this;
  }

  /**
   * How often each leg is asked whether its medium still writes: eight bytes to its device file,
   * synchronously, by a thread of its own. A file system that died under its mappings shows no
   * other way, and what was acknowledged since is on the other leg only. Default a second; zero: it
   * is not asked; else at least a millisecond.
   */
  public StoreBuilder heartbeat(Duration interval) {
    if (interval.isNegative()
        || (!interval.isZero() && interval.compareTo(Duration.ofMillis(1)) < 0)) {
      throw new IllegalArgumentException(
          "heartbeat: expected zero, or a millisecond or more, was " + interval);
    }
    heartbeat = interval.compareTo(EVER) < 0 ? interval : EVER;
    return this;
  }

  /**
   * How many bytes a second the scrub in the background reads at most, of all legs together, ≥ 1.
   * It reads a leaf at once, or a large value, and waits then. Default 64 MiB, which is 3 % of what
   * one core can verify: a terabyte on two legs takes nine hours.
   */
  public StoreBuilder scrubRate(long bytesPerSecond) {
    if (bytesPerSecond < 1) {
      throw new IllegalArgumentException("scrubRate: expected at least 1, was " + bytesPerSecond);
    }
    scrubRate = bytesPerSecond;
    return this;
  }

  /** How often it is written down how far the scrub in the background is; for tests. */
  StoreBuilder scrubCheckpoint(Duration time) {
    scrubCheckpoint = time;
    return this;
  }

  private static long memoryOfTheMachine() {
    return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        ? system.getTotalMemorySize()
        : Long.MAX_VALUE;
  }

  /** Refuses writes; the device files are not changed. */
  public StoreBuilder readOnly() {
    readOnly = true;
    return this;
  }

  /**
   * Opens with what is there where opening would be refused: acknowledged writes may be missing.
   */
  public StoreBuilder openDegraded() {
    openDegraded = true;
    return this;
  }

  /** Decides what faults mean; default {@link FailurePolicy#standard()}. */
  public StoreBuilder policy(FailurePolicy policy) {
    this.policy = policy;
    return this;
  }

  /** Is told what happens from the opening on. */
  public StoreBuilder listener(HealthListener listener) {
    listeners.add(listener);
    return this;
  }

  /** Sees the steps by which a leg is taken out of use; for tests. */
  StoreBuilder observer(SwitchObserver switches) {
    observer = switches;
    return this;
  }

  /** Sees the steps of batches; for tests. */
  StoreBuilder batchObserver(BatchObserver steps) {
    batchObserver = steps;
    return this;
  }

  /**
   * Opens the store, creating it where it is not there.
   *
   * @throws IllegalArgumentException if a device cannot have the persistence mode that was asked
   *     for
   * @throws dev.holdfast.error.StoreLockedException if another opener holds it
   * @throws dev.holdfast.error.OpenRefusedException if legs are missing that may know more
   * @throws dev.holdfast.error.InvalidImageException if a file is not what it should be
   * @throws dev.holdfast.error.FormatVersionException if another version wrote it
   * @throws dev.holdfast.error.OutOfSpaceException if there is no room to create it
   * @throws dev.holdfast.error.DeviceOfflineException if no leg is there
   */
  public Store open() {
    return StoreOpening.open(this);
  }
}
