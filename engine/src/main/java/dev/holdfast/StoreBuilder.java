package dev.holdfast;

import com.sun.management.OperatingSystemMXBean;
import dev.holdfast.async.RingWait;
import dev.holdfast.async.WriteRing;
import dev.holdfast.health.HealthListener;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Role;
import dev.holdfast.tree.BatchObserver;
import dev.holdfast.volume.SwitchObserver;
import dev.holdfast.volume.VolumeLayout;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Options of a store that is about to be opened. None is needed. */
public final class StoreBuilder {
  /** The time in which a {@linkplain #policy policy} decides on a fault: 200 ms. */
  public static final Duration POLICY_DEADLINE = Duration.ofMillis(200);

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

  /** Null: emulated devices. */
  @Nullable DaxFallback dax;

  List<Path> legFiles = List.of();

  /** The legs of a LOG volume; empty: there is none. */
  List<Path> logFiles = List.of();

  /** The legs of a BULK volume; empty: those that it has, if there is one. */
  List<Path> bulkFiles = List.of();

  /** The device of a CACHE volume; null: there is none. */
  @Nullable Path cacheFile;

  long cacheBytes;

  /** What the volume is for. */
  Role role = Role.DATA;

  /** The store whose large values these are; null if they are no store's. */
  @Nullable UUID bulkOf;

  /** Whether nothing is made where nothing is. */
  boolean mustExist;

  /** Null: those that the store has. */
  @Nullable List<Path> spares;

  Duration spareAfter = Duration.ofSeconds(10);
  long initialCapacity = 16L << 20;
  long maxCapacity = VolumeLayout.MAX_CAPACITY;
  long snapshotBytes = 1L << 30;
  long memoryBudget = STANDARD_MEMORY;
  long resilverRate = 256L << 20;
  Duration packColdLeavesAfter = Duration.ofMinutes(5);
  Duration heartbeat = Duration.ofSeconds(1);
  Duration expelAfter = Duration.ofSeconds(15);
  Duration scrubEvery = Duration.ofDays(14);
  long scrubRate = 64L << 20;

  /** How often it is written down how far the scrub is; tests have their own. */
  Duration scrubCheckpoint = Duration.ofSeconds(10);

  private int asyncPlaces = 1_024;
  private int asyncBytes = 64 << 20;
  private AsyncWait asyncWait = AsyncWait.PARK;
  boolean readOnly;
  boolean openDegraded;
  FailurePolicy policy = FailurePolicy.standard();
  SwitchObserver observer = SwitchObserver.NONE;
  BatchObserver batchObserver = BatchObserver.NONE;

  /** By which errors are counted in time; tests have their own. */
  LongSupplier clock = System::nanoTime;

  /** How long a policy has; tests have their own. */
  Duration policyDeadline = POLICY_DEADLINE;

  /** The time of day in milliseconds since 1970. */
  LongSupplier wallClock = System::currentTimeMillis;

  Duration sweepExpiredEvery = Duration.ofMinutes(1);

  /**
   * Whether leaves that nobody asks for are read, too, at once or in the background; not where a
   * test wants to be the first.
   */
  boolean buildsAhead = true;

  final List<HealthListener> listeners = new ArrayList<>();

  StoreBuilder(Path directory) {
    this.directory = directory;
  }

  /**
   * One leg instead of a mirror of two. An existing store has the topology it was created with.
   *
   * @return this builder
   */
  public StoreBuilder single() {
    legs = 1;
    return this;
  }

  /**
   * A mirror of two legs, the default.
   *
   * @return this builder
   */
  public StoreBuilder mirror() {
    legs = 2;
    return this;
  }

  /**
   * How far an acknowledged write has come; default {@link PersistenceMode#PROCESS}.
   *
   * @param mode PROCESS or FILE; DAX only with {@link #dax}, or where the loss of power is
   *     emulated, see {@link dev.holdfast.pmem.CrashRecorder}
   * @return this builder
   */
  public StoreBuilder persistence(PersistenceMode mode) {
    persistence = mode;
    return this;
  }

  /**
   * Has the legs be files on DAX mounts, in real persistent memory, which are mapped synchronously
   * and written back cache line by cache line: {@link PersistenceMode#DAX}. Bad blocks and removal
   * are read from sysfs. A call of {@link #persistence} behind this one sets another mode on the
   * same files: FILE for msync, which no loss of memory can meet in an unguarded instruction.
   *
   * <p>The JVM must have been started with SIGBUS blocked, or it may die when a device is
   * unplugged: {@code env --block-signal=BUS java …}, see {@code docs/testing.md}.
   *
   * @param fallback what to do where a place is no DAX mount
   * @return this builder
   */
  public StoreBuilder dax(DaxFallback fallback) {
    dax = fallback;
    persistence = PersistenceMode.DAX;
    return this;
  }

  /**
   * Where the device files of the legs lie, one a leg; default {@code leg-0.pmem}, … in the
   * directory. Two legs on one file system survive injected and media faults, not the loss of what
   * both lie on.
   *
   * @param files the device files, one a leg
   * @return this builder
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

  /**
   * Gives the store a LOG volume: devices for the redo log of batches alone, one file a leg, all of
   * which hold the same. Default none: the log lies with the entries. A log of its own is worth it
   * on devices that are faster to flush than those of the legs, or wear less.
   *
   * <p>Named at each open, as {@link #legs} is. Places where nothing is become a log; what is there
   * has to be a log of this store. It is needed behind a crash: without it the store opens
   * read-only then, as a batch may be in it, see {@link StoreHealth#batchesAtRisk}. While the store
   * is open, and behind a close in order, it can be lost: the log goes on with the entries, and
   * {@link StoreHealth#log} tells. To do without it, open without it behind a close in order.
   *
   * @param files one to eight, none of them the place of a leg or of a spare
   * @return this builder
   */
  public StoreBuilder log(Path... files) {
    if (files.length == 0 || files.length > VolumeLayout.MAX_LEGS) {
      throw new IllegalArgumentException(
          "log: expected 1 to " + VolumeLayout.MAX_LEGS + " files, was " + files.length);
    }
    if (List.of(files).stream().map(LegRoster::absolute).distinct().count() != files.length) {
      throw new IllegalArgumentException("log: expected different files, was one file twice");
    }
    logFiles = List.of(files);
    return this;
  }

  /**
   * Gives the store a BULK volume: devices for large values alone, those of over 1,536 bytes, one
   * file a leg, all of which hold the same. Default none: they lie with the entries. It is worth it
   * where devices differ: small values on the fast ones, large ones on those with much room.
   *
   * <p>It has legs and states of its own, see {@link Store#bulk}, and what happens to its devices
   * concerns large values alone: with all of them away they are offline, reads and writes of small
   * values go on, and they are there again when a device is; of a page that is lost on every leg
   * exactly the values on it are lost. The store opens without it, and looks for it every second.
   * What else is said here of persistence, rates, heartbeats, memory and policies holds for it,
   * too, for itself; spares it has none.
   *
   * <p>Places where nothing is become a BULK volume of a store that has none; large values that it
   * has stay where they are until they are written again. Named at each open, as {@link #legs} is,
   * unless the files lie in the directory {@code bulk} of the store as {@code leg-0.pmem}, {@code
   * leg-1.pmem}: those are found. It is never given up: what lies there is nowhere else. The values
   * of keys over 4,087 bytes lie with the entries in any case.
   *
   * @param files one for each leg, 1 to 8
   * @return this
   */
  public StoreBuilder bulk(Path... files) {
    if (files.length == 0 || files.length > VolumeLayout.MAX_LEGS) {
      throw new IllegalArgumentException(
          "bulk: expected 1 to " + VolumeLayout.MAX_LEGS + " files, was " + files.length);
    }
    if (List.of(files).stream().map(LegRoster::absolute).distinct().count() != files.length) {
      throw new IllegalArgumentException("bulk: expected different files, was one file twice");
    }
    bulkFiles = List.of(files);
    return this;
  }

  /**
   * Gives the store a CACHE volume: a fast device with copies of values that lie in the {@linkplain
   * #bulk BULK volume}, which is worth it where that is slower. What is read as a whole is copied
   * there; which copies stay is decided by how often they are asked for. The copies are found again
   * by the next open.
   *
   * <p>Its loss costs speed and nothing else: it is let go of until the next open, which makes it
   * anew where its device is gone. {@link StoreStats#cache} has hits and misses.
   *
   * @param file its place: free, or that of the cache of this store
   * @param bytes how large it may become, ≥ 8 MiB
   * @return this
   */
  public StoreBuilder cache(Path file, long bytes) {
    if (bytes < BulkCache.LEAST_BYTES) {
      throw new IllegalArgumentException(
          "cache: expected at least " + BulkCache.LEAST_BYTES + " bytes, was " + bytes);
    }
    cacheFile = file;
    cacheBytes = bytes;
    return this;
  }

  /** The same for the CACHE volume of the store. */
  StoreBuilder ofCache(Path place, Path file, long bytes) {
    StoreBuilder cache = new StoreBuilder(place);
    cache.role = Role.CACHE;
    cache.legFiles = List.of(file);
    cache.legs = 1;
    cache.persistence = PersistenceMode.PROCESS;
    cache.dax = dax == null ? null : DaxFallback.MSYNC;
    cache.initialCapacity = BulkCache.LEAST_BYTES;
    cache.maxCapacity = Math.min(bytes, VolumeLayout.MAX_CAPACITY);
    cache.memoryBudget = memoryBudget;
    cache.packColdLeavesAfter = Duration.ZERO;
    cache.heartbeat = heartbeat;
    cache.expelAfter = expelAfter;
    cache.scrubEvery = Duration.ZERO; // What is wrong is found where it is read.
    cache.policy = policy;
    cache.policyDeadline = policyDeadline;
    cache.clock = clock;
    cache.wallClock = wallClock;
    listeners.forEach(listener -> cache.listener(StoreBulk.relay("CACHE", listener)));
    return cache;
  }

  /** The same for the BULK volume of the store. */
  StoreBuilder ofBulk(Path place, UUID of, boolean exists) {
    StoreBuilder bulk = new StoreBuilder(place);
    bulk.role = Role.BULK;
    bulk.bulkOf = of;
    bulk.mustExist = exists;
    bulk.legFiles = bulkFiles;
    bulk.legs = bulkFiles.isEmpty() ? 2 : bulkFiles.size();
    bulk.persistence = persistence;
    bulk.dax = dax == null ? null : DaxFallback.MSYNC; // It need not lie on persistent memory.
    bulk.maxCapacity = maxCapacity;
    bulk.snapshotBytes = snapshotBytes;
    bulk.memoryBudget = memoryBudget;
    bulk.resilverRate = resilverRate;
    bulk.packColdLeavesAfter = packColdLeavesAfter;
    bulk.heartbeat = heartbeat;
    bulk.expelAfter = expelAfter;
    bulk.scrubEvery = scrubEvery;
    bulk.scrubRate = scrubRate;
    bulk.scrubCheckpoint = scrubCheckpoint;
    bulk.readOnly = readOnly;
    bulk.openDegraded = openDegraded;
    bulk.policy = policy;
    bulk.policyDeadline = policyDeadline;
    bulk.clock = clock;
    bulk.wallClock = wallClock;
    bulk.buildsAhead = buildsAhead;
    listeners.forEach(listener -> bulk.listener(StoreBulk.relay("BULK", listener)));
    return bulk;
  }

  /**
   * Places for devices that come in for legs, in the order in which they are taken. Where a leg has
   * been away, or given up, for {@link #spareAfter}, also one that was missing at the open, a
   * device is made at the first of them that is free, and everything is copied to it; then the
   * former leg is {@linkplain Store#detach detached}. If its device returns first, what it missed
   * is copied to it, and the spare is removed and waits again. A leg that somebody took out by
   * {@link Store#offline} is not away. Room is taken only then: a place that has too little is
   * passed over.
   *
   * <p>The list is kept with the store: later opens need not name it. This call replaces it, with
   * no place by none. What became a leg stays one. How spares are says {@link StoreHealth#spares}.
   *
   * @param places files that are not there yet, in directories that are
   * @return this builder
   */
  public StoreBuilder spare(Path... places) {
    spares = List.of(places);
    return this;
  }

  /**
   * How long a leg has to be away before a spare is taken for it. Default 10 seconds: a device that
   * is put back at once, or a path that was changed, needs a small copy then and no whole one; a
   * store has one copy less for so long. Zero: at once.
   *
   * @param time how long
   * @return this builder
   */
  public StoreBuilder spareAfter(Duration time) {
    if (time.isNegative()) {
      throw new IllegalArgumentException("spareAfter: expected zero or more, was " + time);
    }
    spareAfter = time.compareTo(EVER) < 0 ? time : EVER;
    return this;
  }

  /**
   * The bytes of a leg at creation; default 16 MiB, less where room is short; ≥ 2 MiB.
   *
   * @param bytes how many
   * @return this builder
   */
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

  /**
   * The bytes that a leg grows to at most; default as far as there is room; ≥ 2 MiB.
   *
   * @param bytes how many
   * @return this builder
   */
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
   *
   * @param bytes how many
   * @return this builder
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
   *
   * @param bytes how many
   * @return this builder
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
   *
   * @param time how long
   * @return this builder
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
   *
   * @param bytesPerSecond how many
   * @return this builder
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
   *
   * @param time how long
   * @return this builder
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
   *
   * @param interval the time between two of them
   * @return this builder
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
   * How long the medium of a leg may leave a heartbeat or a flush without an answer before the leg
   * is expelled, where another leg holds everything: operations that wait for it go on with that
   * one. The last copy is waited for, as long as it takes. Default 15 seconds, half of what ZFS
   * calls slow; at least 10 milliseconds. A third of it is told as {@code SLOW}. Too short a time
   * costs a copy whenever a disk is busy.
   *
   * @param silence how long
   * @return this builder
   */
  public StoreBuilder expelAfter(Duration silence) {
    if (silence.compareTo(Duration.ofMillis(10)) < 0) {
      throw new IllegalArgumentException(
          "expelAfter: expected at least 10 milliseconds, was " + silence);
    }
    expelAfter = silence.compareTo(EVER) < 0 ? silence : EVER;
    return this;
  }

  /**
   * How many {@linkplain Store#async asynchronous} writes are on their way at most; beyond that who
   * asks for one waits. Default 1,024; a power of two from 2 to 65,536.
   *
   * @param places how many
   * @return this builder
   */
  public StoreBuilder asyncRing(int places) {
    if (places < 2 || places > 1 << 16 || Integer.bitCount(places) != 1) {
      throw new IllegalArgumentException(
          "asyncRing: expected a power of two from 2 to 65536, was " + places);
    }
    asyncPlaces = places;
    return this;
  }

  /**
   * How many bytes of keys and values asynchronous writes on their way may hold on the heap, or one
   * write that is larger. Default 64 MiB; 1 KiB to 512 MiB.
   *
   * @param bytes how many
   * @return this builder
   */
  public StoreBuilder asyncBytes(long bytes) {
    if (bytes < 1 << 10 || bytes > 1 << 29) {
      throw new IllegalArgumentException(
          "asyncBytes: expected 1024 to " + (1 << 29) + ", was " + bytes);
    }
    asyncBytes = (int) bytes;
    return this;
  }

  /**
   * What the thread that stores asynchronous writes does while there are none; default {@link
   * AsyncWait#PARK}, which takes no processor.
   *
   * @param wait what it does
   * @return this builder
   */
  public StoreBuilder asyncWait(AsyncWait wait) {
    asyncWait = Objects.requireNonNull(wait, "wait");
    return this;
  }

  WriteRing.Settings asyncSettings() {
    RingWait idle =
        switch (asyncWait) {
          case PARK -> RingWait.PARK;
          case YIELD -> RingWait.YIELD;
          case SPIN -> RingWait.SPIN;
        };
    return new WriteRing.Settings(asyncPlaces, asyncBytes, idle);
  }

  /**
   * How many bytes a second the scrub in the background reads at most, of all legs together, ≥ 1.
   * It reads a leaf at once, or a large value, and waits then. Default 64 MiB, which is 3 % of what
   * one core can verify: a terabyte on two legs takes nine hours.
   *
   * @param bytesPerSecond how many
   * @return this builder
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

  /**
   * Refuses writes; the device files are not changed.
   *
   * @return this builder
   */
  public StoreBuilder readOnly() {
    readOnly = true;
    return this;
  }

  /**
   * Opens with what is there where opening would be refused: acknowledged writes may be missing.
   *
   * @return this builder
   */
  public StoreBuilder openDegraded() {
    openDegraded = true;
    return this;
  }

  /**
   * Decides what faults mean; default {@link FailurePolicy#standard()}. It has {@link
   * #POLICY_DEADLINE} for each fault. Where it throws, decides nothing, takes longer or says what
   * cannot be done for that fault, such as to repair what has no copy, the standard policy decides,
   * and listeners get {@link dev.holdfast.health.HealthEvent.Kind#POLICY_OVERRULED}.
   *
   * @param policy what decides
   * @return this builder
   */
  public StoreBuilder policy(FailurePolicy policy) {
    this.policy = policy;
    return this;
  }

  /**
   * Is told what happens from the opening on.
   *
   * @param listener who is told
   * @return this builder
   */
  public StoreBuilder listener(HealthListener listener) {
    listeners.add(listener);
    return this;
  }

  /**
   * How often entries that have expired are removed in the background; default 1 minute. It reads
   * all entries of the expiring maps. They are absent from their deadline on, whenever that is.
   *
   * @param interval the time from the end of one sweep to the next; zero: never
   * @return this builder
   */
  public StoreBuilder sweepExpiredEvery(Duration interval) {
    if (interval.isNegative()) {
      throw new IllegalArgumentException(
          "sweep: expected an interval of 0 or more, was " + interval);
    }
    sweepExpiredEvery = interval;
    return this;
  }

  /**
   * The time of day, by which entries expire; default {@link java.time.Clock#systemUTC}.
   *
   * @param source is asked by every operation on an {@link ExpiringMap}, by any thread
   * @return this builder
   */
  public StoreBuilder clock(InstantSource source) {
    wallClock = source::millis;
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
   * Reads and verifies all entries of a store that nobody has open, on every leg that is there, and
   * changes no byte of what it is made of; the file {@code lock} names the process meanwhile. What
   * is wrong is reported by its place and its keys. What finds the entries is read as an open reads
   * it, which takes any copy that is right: {@link Store#scrub} looks at all of them.
   *
   * <p>It needs where the legs lie, as an open does; of the other options, only {@link
   * #memoryBudget} counts.
   *
   * @return what was found
   * @throws dev.holdfast.error.StoreLockedException if the store is open
   * @throws dev.holdfast.error.InvalidImageException if it is none, or so damaged that it cannot be
   *     read
   * @throws dev.holdfast.error.FormatVersionException if another version wrote it
   * @throws dev.holdfast.error.DeviceOfflineException if no leg is there
   */
  public VerifyReport verify() {
    readOnly();
    openDegraded();
    heartbeat = Duration.ZERO;
    buildsAhead = false;
    try (OpenStore store = StoreOpening.open(this)) {
      return store.verify();
    }
  }

  /**
   * Opens the store, creating it where it is not there.
   *
   * @return the store; to be closed
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
