package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.HealthPipeline;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.DeviceHolder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.Owner;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.BatchOps;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.AbsentDevice;
import dev.holdfast.volume.CopyState;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.LegState;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A store that is open: the parts, and what joins them. */
final class OpenStore implements Store {
  /** How long operations of a former leg set may take to end before nothing is concluded. */
  static final long GRACE_NANOS = 5_000_000_000L;

  /** Closing waits less: it must end with every device gone. */
  private static final long CLOSE_GRACE_NANOS = 300_000_000L;

  private final StoreFiles files;
  private final List<Path> legFiles;
  private final PersistenceMode persistence;
  private final Volume volume;
  private final Tree tree;
  private final ReverseMap reverseMap;
  private final HealthPipeline pipeline;
  private final FaultResponse response;
  private final Heartbeats heartbeats;
  private final Scrubbing scrubbing;
  private final DeviceHolder holder;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final AtomicBoolean compacting = new AtomicBoolean();

  OpenStore(
      StoreFiles files,
      List<Path> legFiles,
      PersistenceMode persistence,
      Volume volume,
      Tree tree,
      ReverseMap reverseMap,
      HealthPipeline pipeline,
      FaultResponse response,
      Heartbeats heartbeats,
      Scrubbing scrubbing) {
    this.files = files;
    this.legFiles = legFiles;
    this.persistence = persistence;
    this.volume = volume;
    this.tree = tree;
    this.reverseMap = reverseMap;
    this.pipeline = pipeline;
    this.response = response;
    this.heartbeats = heartbeats;
    this.scrubbing = scrubbing;
    this.holder = response::notified;
  }

  /** Begins to hold the devices, and completes the legs that were left behind. */
  void begin(List<Integer> stale) {
    for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
      reverseMap.own(
          new MetadataExtent(
              (long) copy * VolumeLayout.SUPERBLOCK_SIZE,
              VolumeLayout.SUPERBLOCK_SIZE,
              "superblock, copy " + copy));
    }
    reverseMap.own(
        new MetadataExtent(
            VolumeLayout.DIRTY_MAP_OFFSET, VolumeLayout.DIRTY_MAP_SIZE, "dirty map"));
    reverseMap.own(
        new MetadataExtent(
            VolumeLayout.TABLE_ROOT_OFFSET,
            VolumeLayout.TABLE_ROOT_SIZE,
            "root of the leaf table"));
    reverseMap.own(
        new MetadataExtent(
            VolumeLayout.LOG_TABLE_OFFSET, VolumeLayout.LOG_TABLE_SIZE, "log table"));
    for (Leg leg : volume.allLegs()) {
      leg.device().hold(holder);
      reverseMap.pin(0, VolumeLayout.MAX_CAPACITY, new LegWindow(leg));
    }
    for (int leg : stale) {
      response.bringBack(leg);
    }
    pipeline.requestRescan();
  }

  /** Begins to read what the open left out. */
  void beginBuilding() {
    tree.beginBuilding();
  }

  /** Begins to read and verify everything now and then. */
  void beginScrubbing() {
    scrubbing.begin();
  }

  /** A structure at a fixed place. */
  private record MetadataExtent(long offset, long length, String name) implements OwnedExtent {
    @Override
    public Owner owner() {
      return new Owner.Metadata(name);
    }
  }

  /** The window of a leg is a mapping of all of it. */
  private record LegWindow(Leg leg) implements MappingHandle {
    @Override
    public String describe() {
      return "window of leg " + leg.index();
    }

    @Override
    public void invalidated(long offset, long length) {
      // The leg set is what keeps operations from a window; it has been switched already.
    }
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return tree.get(key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return tree.get(key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return tree.containsKey(key);
  }

  @Override
  public <R extends @Nullable Object> @Nullable R read(byte[] key, ValueReader<R> reader) {
    ScopedRead scope = new ScopedRead();
    long pin = reverseMap.pin(VolumeLayout.RECORDS_OFFSET, 1, scope);
    try {
      byte[] value = tree.get(key);
      return value == null ? null : reader.read(MemorySegment.ofArray(value).asReadOnly());
    } finally {
      reverseMap.unpin(pin);
    }
  }

  /** The body of a scoped read has a copy of its own; it is listed so that people see it. */
  private record ScopedRead() implements MappingHandle {
    @Override
    public String describe() {
      return "scoped read";
    }

    @Override
    public void invalidated(long offset, long length) {}
  }

  @Override
  public void put(byte[] key, byte[] value) {
    put(key, value, persistence);
  }

  @Override
  public void put(byte[] key, byte[] value, PersistenceMode mode) {
    boolean _ = tree.put(key, value, Tree.Condition.ANY, null, mode);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value) {
    tree.put(key, value, persistence);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value, PersistenceMode mode) {
    tree.put(key, value, mode);
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value) {
    return putIfAbsent(key, value, persistence);
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode) {
    return tree.put(key, value, Tree.Condition.ABSENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] value) {
    return replace(key, value, persistence);
  }

  @Override
  public boolean replace(byte[] key, byte[] value, PersistenceMode mode) {
    return tree.put(key, value, Tree.Condition.PRESENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value) {
    return replace(key, expected, value, persistence);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode) {
    return tree.put(key, value, Tree.Condition.EQUAL, expected.clone(), mode);
  }

  @Override
  public boolean remove(byte[] key) {
    return remove(key, persistence);
  }

  @Override
  public boolean remove(byte[] key, PersistenceMode mode) {
    return tree.remove(key, mode);
  }

  @Override
  public void write(WriteBatch batch) {
    write(batch, persistence);
  }

  @Override
  public void write(WriteBatch batch, PersistenceMode mode) {
    BatchOps ops = batch.begin();
    try {
      tree.write(ops, mode);
    } finally {
      batch.end();
    }
  }

  @Override
  public Cursor cursor(KeyRange range) {
    requireOpen();
    return new RangeCursor(tree.scan(), range, false, null);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    requireOpen();
    return new RangeCursor(tree.scan(), range, true, null);
  }

  @Override
  public Snapshot snapshot() {
    return new OpenSnapshot(tree.snapshot(), files.directory());
  }

  @Override
  public long scan(KeyRange range, boolean reverse, EntryVisitor visitor) {
    requireOpen();
    return new RangeVisit(tree.scan(), range, reverse).show(visitor);
  }

  @Override
  public void sync() {
    sync(persistence);
  }

  @Override
  public void sync(PersistenceMode mode) {
    tree.sync(mode);
  }

  @Override
  public CompactionProgress compact(Consumer<CompactionProgress> progress) {
    requireOpen();
    if (!compacting.compareAndSet(false, true)) {
      throw new IllegalStateException(files.directory() + ": the store is being compacted");
    }
    try {
      Tree.CompactionState state = tree.compact(now -> progress.accept(progress(now)));
      if (state.complete()) {
        long[] given = new long[1];
        response.whileNothingIsRepaired(() -> given[0] = tree.giveBack());
        state = new Tree.CompactionState(state.leavesDone(), state.leaves(), given[0], true);
        progress.accept(progress(state));
      }
      return progress(state);
    } finally {
      compacting.set(false);
    }
  }

  @Override
  public ScrubReport scrub(Consumer<ScrubProgress> progress) {
    requireOpen();
    return scrubbing.now(progress);
  }

  private static CompactionProgress progress(Tree.CompactionState state) {
    return new CompactionProgress(
        state.leavesDone(), state.leaves(), state.bytesGivenBack(), state.complete());
  }

  @Override
  public StoreHealth health() {
    List<LegRange> bad = volume.badRanges();
    List<StoreHealth.Leg> legs = new ArrayList<>();
    for (Leg leg : volume.allLegs()) {
      List<BadRange> ranges = new ArrayList<>();
      for (LegRange range : bad) {
        if (range.leg() == leg.index()) {
          ranges.add(new BadRange(range.offset(), range.length()));
        }
      }
      legs.add(
          new StoreHealth.Leg(
              leg.index(), leg.device().id(), leg.device().name(), leg.state(), ranges));
    }
    List<StoreHealth.Lost> lost = new ArrayList<>();
    for (LossRecord record : tree.lost()) {
      long[] entries = record.fingerprints();
      lost.add(
          new StoreHealth.Lost(
              Tree.userKey(record.key()),
              Tree.userKey(record.low()),
              Tree.userKey(record.high()),
              record.key() != null ? 1 : entries == null ? -1 : entries.length,
              record.offset(),
              record.length()));
    }
    StoreState state = state();
    List<StoreHealth.BatchAtRisk> atRisk =
        tree.batchesAtRisk().stream()
            .map(batch -> new StoreHealth.BatchAtRisk(batch.sequence(), batch.operations()))
            .toList();
    return new StoreHealth(state, reason(state), legs, lost, atRisk);
  }

  private StoreState state() {
    if (volume.legs().readers() == 0 || tree.isSuspended()) {
      return StoreState.FAILED;
    }
    if (volume.readOnlyCause() != null) {
      return StoreState.READ_ONLY;
    }
    for (Leg leg : volume.allLegs()) {
      if (leg.state() != LegState.ONLINE) {
        return StoreState.DEGRADED;
      }
    }
    return StoreState.ONLINE;
  }

  private @Nullable String reason(StoreState state) {
    HoldfastException cause = volume.readOnlyCause();
    return switch (state) {
      case ONLINE -> null;
      case READ_ONLY -> cause == null ? null : cause.getMessage();
      case FAILED -> closed.get() ? "the store is closed" : volume.offline().getMessage();
      case DEGRADED -> {
        StringBuilder text = new StringBuilder();
        for (Leg leg : volume.allLegs()) {
          if (leg.state() != LegState.ONLINE) {
            text.append(text.isEmpty() ? "" : ", ");
            text.append("leg ").append(leg.index()).append(" is ").append(leg.state());
          }
        }
        yield text.toString();
      }
    };
  }

  @Override
  public StoreStats stats() {
    List<StoreStats.Leg> legs = new ArrayList<>();
    for (Leg leg : volume.allLegs()) {
      legs.add(
          new StoreStats.Leg(
              leg.index(),
              leg.device().id(),
              leg.device().name(),
              leg.state(),
              leg.reads(),
              leg.faults()));
    }
    Tree.SnapshotFigures snapshots = tree.snapshots();
    return new StoreStats(
        tree.entries(),
        tree.isCounted(),
        volume.capacity() - VolumeLayout.RECORDS_OFFSET,
        tree.freeBytes(),
        persistence,
        volume.config().epoch().counter(),
        volume.faultsCaught(),
        pipeline.lost(),
        new StoreStats.Memory(tree.memoryBytes(), tree.memoryLimit()),
        new StoreStats.Snapshots(
            snapshots.open(),
            Duration.ofNanos(snapshots.oldestNanos()),
            snapshots.bytesHeld(),
            snapshots.gaveWay()),
        resilver(),
        scrubbing.figures(),
        legs);
  }

  private StoreStats.@Nullable Resilver resilver() {
    CopyState state = volume.copyState();
    return state == null
        ? null
        : new StoreStats.Resilver(
            state.leg(),
            state.running(),
            state.whole(),
            state.bytesDone(),
            state.bytesTotal(),
            Duration.ofNanos(state.nanos()));
  }

  @Override
  public List<PmemDevice> devices() {
    return volume.allLegs().stream().map(Leg::device).toList();
  }

  @Override
  public List<StoreExtent> owners(long offset, long length) {
    List<StoreExtent> found = new ArrayList<>();
    reverseMap.owners(
        offset,
        length,
        extent -> {
          if (extent.owner() instanceof Owner.Metadata metadata) {
            found.add(new StoreExtent(extent.offset(), extent.length(), null, metadata.name()));
          }
        });
    tree.describe(
        offset,
        length,
        (at, bytes, key, isLarge) ->
            found.add(new StoreExtent(at, bytes, key, isLarge ? "large value" : "record")));
    found.sort((a, b) -> Long.compare(a.offset(), b.offset()));
    return found;
  }

  @Override
  public void addListener(HealthListener listener) {
    requireOpen();
    pipeline.addListener(listener);
  }

  @Override
  public void removeListener(HealthListener listener) {
    pipeline.removeListener(listener);
  }

  @Override
  public void offline(int index) {
    Leg _ = legAt(index);
    response.takeOut(index);
  }

  private Leg legAt(int index) {
    requireOpen();
    if (index < 0 || index >= volume.allLegs().size()) {
      throw new IllegalArgumentException(
          "leg: expected 0 to " + (volume.allLegs().size() - 1) + ", was " + index);
    }
    return volume.allLegs().get(index);
  }

  @Override
  public void online(int index) {
    Leg leg = legAt(index);
    leg.hold(false);
    if (!isThere(leg)) {
      response.whileNothingIsRepaired(() -> present(leg));
    }
    if (leg.device().state() != DeviceState.LIVE) {
      throw new DeviceOfflineException(
          "leg "
              + index
              + " ("
              + leg.device().name()
              + "): expected its device to be there, is "
              + leg.device().state());
    }
    response.bringBackOrThrow(index);
  }

  /**
   * Finds the device of a leg that was not there when the store was opened. One at a time: a device
   * that another found meanwhile is not replaced.
   */
  private void present(Leg leg) {
    if (isThere(leg)) {
      return;
    }
    for (Path file : legFiles) {
      boolean taken =
          volume.allLegs().stream()
              .anyMatch(other -> other.device().name().equals(file.toString()) && isThere(other));
      if (!taken) {
        PmemDevice device = EmulatedDevice.open(file, persistence);
        device.hold(holder);
        volume.present(leg.index(), device);
        if (volume.isStopping()) {
          // A close that came meanwhile may have gone over the devices without this one.
          device.release(holder);
          device.close();
          requireOpen();
        }
        return;
      }
    }
    throw new DeviceOfflineException("leg " + leg.index() + ": no device file is left for it");
  }

  private static boolean isThere(Leg leg) {
    return !(leg.device() instanceof AbsentDevice);
  }

  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    boolean interrupted = Thread.interrupted(); // With it set nothing below would wait.
    try {
      closeNow();
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void closeNow() {
    volume.stop();
    heartbeats.stop(CLOSE_GRACE_NANOS);
    boolean _ = scrubbing.end(CLOSE_GRACE_NANOS);
    if (volume.legs().readers() > 0) {
      response.nameBeforeClose(CLOSE_GRACE_NANOS);
    }
    boolean _ = tree.endBuilding(CLOSE_GRACE_NANOS);
    tree.close();
    boolean quiet = tree.endWork(CLOSE_GRACE_NANOS);
    quiet &= volume.grace().await(CLOSE_GRACE_NANOS);
    for (Leg leg : volume.allLegs()) {
      leg.device().release(holder);
    }
    pipeline.close();
    quiet &= response.stop(CLOSE_GRACE_NANOS);
    if (quiet && !volume.isReadOnly()) {
      volume.closeInOrder(tree.settle(CLOSE_GRACE_NANOS), tree.sequence(), CLOSE_GRACE_NANOS);
    }
    tree.endCommits();
    boolean ended = quiet && volume.grace().await(CLOSE_GRACE_NANOS);
    volume.unmap(ended);
    if (ended) {
      tree.release(CLOSE_GRACE_NANOS);
    }
    for (Leg leg : volume.allLegs()) {
      leg.device().release(holder); // Another one, if the leg was brought back meanwhile.
      leg.device().close();
    }
    files.close();
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new StoreClosedException(files.directory() + ": the store is closed");
    }
  }
}
