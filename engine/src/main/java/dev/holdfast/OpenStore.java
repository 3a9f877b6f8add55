package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.health.pipeline.HealthPipeline;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.DeviceHolder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.Owner;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.BatchAtRisk;
import dev.holdfast.tree.ReadGuard;
import dev.holdfast.tree.ScrubTally;
import dev.holdfast.tree.Tree;
import dev.holdfast.tree.TreeLease;
import dev.holdfast.tree.TreeSnapshot;
import dev.holdfast.tree.ValueSource;
import dev.holdfast.volume.CopyState;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A store that is open: the parts, and what joins them. */
final class OpenStore extends OpenMap implements Store {
  /** The number of the map that has no name. */
  static final int OWN = 0;

  /** How long operations of a former leg set may take to end before nothing is concluded. */
  static final long GRACE_NANOS = 5_000_000_000L;

  /** Closing waits less: it must end with every device gone. */
  private static final long CLOSE_GRACE_NANOS = 300_000_000L;

  /** How long a close completes asynchronous writes that were taken. */
  private static final long DRAIN_NANOS = 2_000_000_000L;

  private final StoreFiles files;
  private final SpareLegs spares;
  private final LegChanges changes;
  private final Volume volume;
  private final Tree tree;
  private final HealthPipeline pipeline;
  private final FaultResponse response;
  private final Heartbeats heartbeats;
  private final Scrubbing scrubbing;
  private final RingWrites async;
  private final StoreLog log;
  private final DeviceHolder holder;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final AtomicBoolean compacting = new AtomicBoolean();
  private final AdminCalls admin;
  private final StoreClosing closing;
  private final NamedMaps maps;
  private final StoreBulk bulk;

  OpenStore(
      StoreFiles files,
      SpareLegs spares,
      LegChanges changes,
      LegDevices kind,
      Volume volume,
      Tree tree,
      ReverseMap reverseMap,
      HealthPipeline pipeline,
      FaultResponse response,
      Heartbeats heartbeats,
      Scrubbing scrubbing,
      RingWrites async,
      NamedMaps maps,
      StoreLog log,
      StoreBulk bulk) {
    super(kind.mode(), reverseMap, (key, mode) -> tree.awaitAcknowledgement(OWN, key, mode));
    this.async = async;
    this.files = files;
    this.spares = spares;
    this.changes = changes;
    this.volume = volume;
    this.tree = tree;
    this.pipeline = pipeline;
    this.response = response;
    this.heartbeats = heartbeats;
    this.scrubbing = scrubbing;
    this.log = log;
    this.holder = changes.holder();
    this.admin = new AdminCalls(volume);
    this.maps = maps;
    this.bulk = bulk;
    this.closing =
        new StoreClosing(files, volume, tree, log, bulk, this::closeNow, this::endHelpers);
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
    changes.begin();
    for (int leg : stale) {
      response.bringBack(leg);
    }
    pipeline.requestRescan();
  }

  /** Begins to read what the open left out. */
  void beginBuilding() {
    tree.beginBuilding();
  }

  /** Begins to look after named maps. */
  void beginMaps() {
    maps.begin();
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

  @Override
  MapHome home() {
    return new MapHome(tree, OWN, null);
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return tree.get(OWN, key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return tree.get(OWN, key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return tree.containsKey(OWN, key);
  }

  @Override
  void store(byte[] key, ValueSource source, long length) throws IOException {
    tree.put(OWN, key, source, length, persistence);
  }

  @Override
  public @Nullable Lease lease(byte[] key) {
    TreeLease lease = tree.lease(OWN, key);
    return lease == null ? null : new OpenLease(lease);
  }

  /** Who can touch a range of the legs now, for tests. */
  List<MappingHandle> mappings(long offset, long length) {
    List<MappingHandle> found = new ArrayList<>();
    reverseMap.mappings(offset, length, (_, _, handle) -> found.add(handle));
    return found;
  }

  @Override
  public void put(byte[] key, byte[] value, PersistenceMode mode) {
    boolean _ = tree.put(OWN, key, value, Tree.Condition.ANY, null, mode);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value, PersistenceMode mode) {
    tree.put(OWN, key, value, mode);
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode) {
    return tree.put(OWN, key, value, Tree.Condition.ABSENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] value, PersistenceMode mode) {
    return tree.put(OWN, key, value, Tree.Condition.PRESENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode) {
    return tree.put(OWN, key, value, Tree.Condition.EQUAL, expected.clone(), mode);
  }

  @Override
  public boolean remove(byte[] key, PersistenceMode mode) {
    return tree.remove(OWN, key, null, mode);
  }

  @Override
  public boolean remove(byte[] key, byte[] expected, PersistenceMode mode) {
    return tree.remove(OWN, key, expected.clone(), mode);
  }

  @Override
  public NamedMap map(String name) {
    requireOpen();
    return maps.map(name);
  }

  @Override
  public ExpiringMap expiringMap(String name) {
    requireOpen();
    return maps.expiring(name);
  }

  /** The map of a name, of the kind of another one; what has the name and is another is dropped. */
  OpenMap mapLike(String name, MapDirectory.Listing other) {
    return maps.like(name, other);
  }

  /** Waits until nothing is left of maps that were dropped. */
  void awaitCleared() {
    maps.awaitCleared();
  }

  /** What sets it apart from every other store. */
  UUID id() {
    return volume.config().storeId();
  }

  /** The number of the last write. */
  long lastSequence() {
    return tree.sequence();
  }

  @Override
  public List<String> mapNames() {
    requireOpen();
    return maps.names();
  }

  @Override
  public boolean dropMap(String name) {
    requireOpen();
    return maps.drop(name);
  }

  @Override
  public void renameMap(String from, String to) {
    requireOpen();
    maps.rename(from, to);
  }

  @Override
  public void write(WriteBatch batch) {
    write(batch, persistence);
  }

  @Override
  public void write(WriteBatch batch, PersistenceMode mode) {
    write(batch, mode, null);
  }

  /** Writes a batch, if what it was made from still is so; null: from nothing. */
  void write(WriteBatch batch, PersistenceMode mode, @Nullable ReadGuard guard) {
    batch.begin();
    try {
      batch.write(tree, mode, guard);
    } finally {
      batch.end();
    }
  }

  @Override
  public Transaction transaction() {
    return new OpenTransaction(this);
  }

  PersistenceMode persistence() {
    return persistence;
  }

  @Override
  public AsyncWrites async() {
    return async;
  }

  @Override
  public Cursor cursor(KeyRange range) {
    requireOpen();
    return new RangeCursor(tree.scan(OWN), range, false, null, null);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    requireOpen();
    return new RangeCursor(tree.scan(OWN), range, true, null, null);
  }

  @Override
  public OpenSnapshot snapshot() {
    TreeSnapshot snapshot = tree.snapshot();
    return new OpenSnapshot(snapshot, files.directory(), maps.now());
  }

  @Override
  public CheckpointReport checkpoint(Path directory, CheckpointOptions options) {
    requireOpen();
    return Checkpoint.make(this, directory, options);
  }

  @Override
  public long scan(KeyRange range, boolean reverse, EntryVisitor visitor) {
    requireOpen();
    return new RangeVisit(tree.scan(OWN), range, reverse, null).show(visitor);
  }

  @Override
  public void sync() {
    sync(persistence);
  }

  @Override
  public void sync(PersistenceMode mode) {
    try {
      bulk.sync(mode);
    } finally {
      tree.sync(mode);
    }
  }

  @Override
  public CompactionProgress compact(Consumer<CompactionProgress> progress) {
    requireOpen();
    if (!compacting.compareAndSet(false, true)) {
      throw new IllegalStateException(files.directory() + ": the store is being compacted");
    }
    CompactionNotice notice = CompactionNotice.begun(files.directory().toString());
    try {
      Tree.CompactionState state = tree.compact(now -> progress.accept(progress(now)));
      if (state.complete()) {
        long[] given = new long[1];
        response.whileNothingIsRepaired(() -> given[0] = tree.giveBack());
        state = new Tree.CompactionState(state.leavesDone(), state.leaves(), given[0], true);
        progress.accept(progress(state));
      }
      bulk.compact();
      notice.end(progress(state));
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

  /** Reads everything, and changes nothing; of a store that is open to read alone. */
  VerifyReport verify() {
    boolean closedInOrder = tree.isCounted();
    Verification found = new Verification(tree, maps);
    ScrubTally tally = tree.newTally();
    boolean _ = tree.scrub(null, 0, found, tally);
    StoreHealth health = health();
    return new VerifyReport(
        closedInOrder,
        health.legs(),
        found.findings(),
        health.lost(),
        tally.records(),
        tally.bytes(),
        bulk.verify(maps));
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
      maps.addLost(record, lost);
    }
    StoreState state = state();
    List<StoreHealth.BatchAtRisk> atRisk =
        tree.batchesAtRisk().stream()
            .map(batch -> new StoreHealth.BatchAtRisk(batch.sequence(), batch.operations()))
            .toList();
    Tree.LeaseFigures leases = tree.leases();
    return new StoreHealth(
        state,
        reason(state),
        legs,
        lost,
        atRisk,
        spares.spares(),
        bulk.add(new StoreHealth.Leases(leases.open(), leases.bytesHeld(), leases.gaveWay())),
        log.health(),
        bulk.health(maps));
  }

  private StoreState state() {
    if (volume.legs().readers() == 0 || tree.isSuspended()) {
      return StoreState.FAILED;
    }
    if (volume.readOnlyCause() != null) {
      return StoreState.READ_ONLY;
    }
    for (Leg leg : volume.allLegs()) {
      if (leg.state() != LegState.ONLINE && leg.state() != LegState.DETACHED) {
        return StoreState.DEGRADED;
      }
    }
    if (log.problem() != null || bulk.problem() != null) {
      return StoreState.DEGRADED;
    }
    return StoreState.ONLINE;
  }

  private @Nullable String reason(StoreState state) {
    HoldfastException cause = volume.readOnlyCause();
    return switch (state) {
      case ONLINE -> null;
      case READ_ONLY -> {
        String why = cause == null ? null : cause.getMessage();
        List<BatchAtRisk> atRisk = tree.batchesAtRisk();
        yield atRisk.isEmpty() ? why : why + "; at risk is " + atRisk.getFirst();
      }
      case FAILED -> closed.get() ? "the store is closed" : volume.offline().getMessage();
      case DEGRADED -> {
        StringBuilder text = new StringBuilder();
        for (Leg leg : volume.allLegs()) {
          if (leg.state() != LegState.ONLINE && leg.state() != LegState.DETACHED) {
            text.append(text.isEmpty() ? "" : ", ");
            text.append("leg ").append(leg.index()).append(" is ").append(leg.state());
          }
        }
        for (String problem : new @Nullable String[] {log.problem(), bulk.problem()}) {
          if (problem != null) {
            text.append(text.isEmpty() ? "" : ", ").append(problem);
          }
        }
        yield text.toString();
      }
    };
  }

  @Override
  public @Nullable VolumeAdmin bulk() {
    requireOpen();
    return bulk.admin();
  }

  @Override
  public List<BadRanges> badRanges() {
    return RangeAnswers.of(volume);
  }

  @Override
  public void clearBadRange(int leg, long offset, long length) {
    LegRange range = rangeOf(leg, offset, length);
    admin.run("clearBadRange", () -> response.clear(range, false));
  }

  @Override
  public void clearBadRangeAcceptingLoss(int leg, long offset, long length) {
    LegRange range = rangeOf(leg, offset, length);
    admin.run("clearBadRange", () -> response.clear(range, true));
  }

  private LegRange rangeOf(int leg, long offset, long length) {
    Leg _ = legAt(leg);
    if (offset < 0 || length < 1 || offset > volume.capacity() - length) {
      throw new IllegalArgumentException(
          "range: expected one inside "
              + volume.capacity()
              + " bytes, was ["
              + offset
              + ", +"
              + length
              + ")");
    }
    return new LegRange(leg, offset, length);
  }

  @Override
  public StoreStats stats() {
    List<LegRange> bad = volume.badRanges();
    List<StoreStats.Leg> legs = new ArrayList<>();
    for (Leg leg : volume.allLegs()) {
      legs.add(
          new StoreStats.Leg(
              leg.index(),
              leg.device().id(),
              leg.device().name(),
              leg.state(),
              leg.reads(),
              leg.faults(),
              (int) bad.stream().filter(range -> range.leg() == leg.index()).count()));
    }
    Tree.SnapshotFigures snapshots = tree.snapshots();
    long capacity = volume.capacity() - VolumeLayout.RECORDS_OFFSET;
    long free = tree.freeBytes();
    return new StoreStats(
        tree.entries(),
        tree.isCounted(),
        capacity,
        free,
        space(capacity - free),
        operations(),
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
        bulk.cacheStats(),
        legs);
  }

  private StoreStats.Space space(long used) {
    Tree.Space space = tree.space();
    return new StoreStats.Space(
        space.leaves(), Math.max(0, used - space.leaves()), space.records(), space.read());
  }

  private StoreStats.Operations operations() {
    Tree.Work work = tree.work();
    return new StoreStats.Operations(
        work.gets(),
        work.getReads(),
        work.puts(),
        work.removes(),
        work.batches(),
        work.batchOperations(),
        work.scannedLeaves());
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

  /** The devices of the CACHE volume, for tests. */
  List<PmemDevice> cacheDevices() {
    return bulk.cacheDevices();
  }

  /** The devices of the LOG volume, for tests. */
  List<PmemDevice> logDevices() {
    return log.devices();
  }

  @Override
  public List<StoreExtent> owners(long offset, long length) {
    List<StoreExtent> found = new ArrayList<>();
    reverseMap.owners(
        offset,
        length,
        extent -> {
          if (extent.owner() instanceof Owner.Metadata metadata) {
            found.add(
                new StoreExtent(extent.offset(), extent.length(), null, null, metadata.name()));
          }
        });
    tree.describe(
        offset,
        length,
        (at, bytes, map, key, isLarge) ->
            found.add(
                new StoreExtent(
                    at, bytes, maps.nameOf(map), key, isLarge ? "large value" : "record")));
    found.sort((a, b) -> Long.compare(a.offset(), b.offset()));
    return found;
  }

  @Override
  public void addListener(HealthListener listener) {
    requireOpen();
    pipeline.addListener(listener);
    bulk.addListener(listener);
  }

  @Override
  public void removeListener(HealthListener listener) {
    pipeline.removeListener(listener);
    bulk.removeListener(listener);
  }

  @Override
  public void offline(int index) {
    Leg _ = legAt(index);
    admin.run("offline", () -> response.takeOut(index));
  }

  private Leg legAt(int index) {
    requireOpen();
    List<Leg> legs = volume.allLegs();
    if (index < 0 || index >= legs.size()) {
      throw new IllegalArgumentException(
          "leg: expected 0 to " + (legs.size() - 1) + ", was " + index);
    }
    if (legs.get(index).state() == LegState.DETACHED) {
      throw new IllegalArgumentException("leg " + index + ": expected a leg, was detached");
    }
    return legs.get(index);
  }

  @Override
  public int attach(Path place) {
    requireOpen();
    return changes.attach(place);
  }

  @Override
  public void detach(int index) {
    Leg _ = legAt(index);
    admin.run("detach", () -> changes.detach(index));
  }

  @Override
  public int replace(int index, Path place) {
    Leg _ = legAt(index);
    return changes.replace(index, place);
  }

  @Override
  public void online(int index) {
    Leg leg = legAt(index);
    admin.run("online", () -> bringBack(leg));
  }

  private void bringBack(Leg leg) {
    int index = leg.index();
    leg.hold(false);
    boolean _ = leg.device().comeBack(true);
    if (!LegChanges.isThere(leg)) {
      response.whileNothingIsRepaired(() -> changes.present(leg));
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

  @Override
  public void close() {
    if (closed.compareAndSet(false, true)) {
      try {
        closing.inOrder();
      } finally {
        async.end();
      }
    }
  }

  @Override
  public void forceClose() {
    closed.set(true);
    async.end();
    closing.force();
  }

  @Override
  public void resume() {
    requireOpen();
    admin.run("resume", response::resume);
    pipeline.requestRescan();
  }

  /** Ends what works beside operations; whether all of it has ended. */
  private boolean endHelpers() {
    heartbeats.stop(0);
    maps.end(0);
    boolean quiet = scrubbing.end(0) || scrubbing.end(GRACE_NANOS);
    quiet &= response.stop(GRACE_NANOS);
    for (Leg leg : volume.allLegs()) {
      leg.device().release(holder);
    }
    pipeline.close();
    return tree.endBuilding(GRACE_NANOS) && quiet;
  }

  /** Throws if nothing can be written now. */
  void requireWritable() {
    LegSet _ = volume.writableLegs();
  }

  /** Whether what began then is not worth waiting for: a medium of the store hangs. */
  boolean isHopeless(long began) {
    return closing.isHopeless(began);
  }

  private void closeNow() {
    boolean done = false;
    try {
      closeInSteps();
      done = true;
    } finally {
      if (!done) {
        bulk.forceClose();
      }
    }
  }

  private void closeInSteps() {
    long began = System.nanoTime();
    async.drain(DRAIN_NANOS, () -> closing.isHopeless(began));
    bulk.stop(CLOSE_GRACE_NANOS);
    volume.stop();
    heartbeats.stop(CLOSE_GRACE_NANOS);
    boolean _ = scrubbing.end(CLOSE_GRACE_NANOS);
    maps.end(CLOSE_GRACE_NANOS);
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
    log.close(quiet, tree.sequence(), CLOSE_GRACE_NANOS);
    bulk.close();
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
    volume.behindTheWitness(files::close);
  }

  private void requireOpen() {
    if (closed.get()) {
      throw new StoreClosedException(files.directory() + ": the store is closed");
    }
  }
}
