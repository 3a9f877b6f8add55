package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.tree.BulkSpace;
import dev.holdfast.tree.Tree;
import dev.holdfast.tree.TreeLease;
import dev.holdfast.tree.TreeScan;
import dev.holdfast.tree.ValueSource;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * The BULK volume of a store: devices of their own for its large values. It is a store by itself,
 * with legs, a witness and an epoch of its own, in the directory {@code bulk}; so whatever happens
 * to its devices is found out, survived, repaired and named as it is for entries, and concerns
 * large values alone. Its superblocks say whose it is, and those of the entries which one is
 * theirs.
 *
 * <p>The store with the entries opens without it: large values are offline then, and are there
 * again once it can be opened, which is tried every second.
 *
 * <p><b>Threads:</b> {@link #tell} the one that opens the store; {@link #attempt} one at a time;
 * the rest any.
 */
final class StoreBulk implements BulkSpace {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** The directory, inside that of the store. */
  private static final String DIRECTORY = "bulk";

  /** So often room is made for a value. */
  private static final int TRIES = 5;

  /** How long puts that are under way may take before records are carried farther. */
  private static final long RAISE_NANOS = 5_000_000_000L;

  private final StoreBuilder options;
  private final Path directory;

  /** The places of values that are stored, and to which nobody has led a record yet. */
  private final Set<BulkPlace> unsettled = ConcurrentHashMap.newKeySet();

  /** Who listens since the store was opened, and what hears for them here. */
  private final Map<HealthListener, HealthListener> listeners = new ConcurrentHashMap<>();

  private final BulkUpkeep upkeep;
  private final ReentrantLock raising = new ReentrantLock();

  /** Whether records may be carried farther than by the mode of the store. */
  private volatile boolean raised;

  private volatile @Nullable OpenStore values;
  private volatile @Nullable BulkCache cache;

  /** Why it is not open; null if it is, or if there is none. */
  private volatile @Nullable String problem;

  private volatile @Nullable Tree tree;
  private @Nullable Volume entries;
  private boolean tried;
  private volatile boolean wanted;
  private volatile boolean closed;

  StoreBulk(StoreBuilder options) {
    this.options = options;
    this.directory = options.directory.resolve(DIRECTORY);
    this.upkeep = new BulkUpkeep(this, options.directory.toString());
  }

  // ---------------------------------------------------------------- opening

  /** Tells the tree of it, if the store has one or is to get one; before the tree is opened. */
  void tell(Tree of, Volume withEntries) {
    tree = of;
    entries = withEntries;
    // Without a superblock nobody knows; what lies there is read then, and nothing is made.
    boolean isRescue = withEntries.isReadOnly() && Files.exists(directory.resolve("witness"));
    wanted = linkOf(withEntries) != null || !options.bulkFiles.isEmpty() || isRescue;
    if (wanted) {
      of.bulkAt(this);
      upkeep.openedAt(of.sequence());
    }
  }

  /**
   * Opens it, or makes it where the store is to get one. Where one that the store has cannot be
   * opened, or does not answer, it is tried again later.
   *
   * @throws IllegalArgumentException if options contradict each other
   * @throws InvalidImageException if what was named is somebody else's
   */
  void begin() {
    if (!wanted) {
      if (options.cacheFile != null) {
        throw new IllegalArgumentException(
            "cache: expected a store with a BULK volume, of whose values it has copies, has none");
      }
      return;
    }
    Path cacheFile = options.cacheFile;
    if (cacheFile != null && !options.readOnly) {
      cache = BulkCache.open(options, cacheFile, options.cacheBytes);
    }
    upkeep.begin();
  }

  /** Which BULK volume the entries have; null if none. */
  private static @Nullable UUID linkOf(Volume entries) {
    VolumeConfig.BulkLink link = entries.config().bulk();
    return link == null || link.isBulk() ? null : link.other();
  }

  /**
   * Opens it, if it is not open.
   *
   * @return whether it is
   * @throws RuntimeException at the first attempt, if it is no matter of a device that is away
   */
  boolean attempt() {
    if (values != null || closed) {
      return values != null && !closed;
    }
    boolean first = !tried;
    tried = true;
    try {
      OpenStore opened = openOrMake(first);
      if (opened == null) {
        return false;
      }
      synchronized (listeners) {
        listeners.values().forEach(opened::addListener);
        values = opened;
      }
      problem = null;
      if (closed) {
        opened.close();
      }
    } catch (InvalidImageException e) {
      if (first && !options.bulkFiles.isEmpty()) {
        throw e; // Somebody has just named it.
      }
      isAway(e);
    } catch (IllegalArgumentException e) {
      if (first) {
        throw e;
      }
      isAway(e);
    } catch (HoldfastException e) {
      isAway(e);
    }
    return values != null && !closed;
  }

  private @Nullable OpenStore openOrMake(boolean first) {
    Volume with = entries;
    if (with == null) {
      return null;
    }
    UUID link = linkOf(with);
    if (link == null) {
      return with.isReadOnly() ? rescued(with) : made(with);
    }
    if (!Files.isDirectory(directory)) {
      // Nothing is made here: it may be about to be mounted, or moved back.
      throw new DeviceOfflineException(directory + ": is not there");
    }
    return openLinked(with, link, first);
  }

  /** Of entries whose superblocks are lost, or that may not be written yet. */
  private @Nullable OpenStore rescued(Volume with) {
    if (!Files.exists(directory.resolve("witness"))) {
      problem = "BULK: cannot be made, as nothing may be written";
      return null;
    }
    StoreBuilder read = options.ofBulk(directory, with.config().storeId(), true);
    read.readOnly = true;
    return StoreOpening.open(read);
  }

  /** Makes one, or takes up what a former open made and had no time to note. */
  private OpenStore made(Volume with) {
    boolean fresh = !Files.exists(directory);
    boolean done = false;
    try {
      OpenStore made = StoreOpening.open(options.ofBulk(directory, with.config().storeId(), false));
      boolean linked = false;
      try {
        UUID id = made.id();
        with.configure(config -> config.withBulk(id));
        linked = true;
      } finally {
        if (!linked) {
          made.close();
        }
      }
      done = true;
      return made;
    } finally {
      if (!done && fresh) {
        StoreFiles.removeNotes(directory);
      }
    }
  }

  private OpenStore openLinked(Volume with, UUID link, boolean first) {
    StoreBuilder bulk = options.ofBulk(directory, with.config().storeId(), true);
    bulk.openDegraded &= first; // What was forced for one open is not for those behind it.
    OpenStore opened = StoreOpening.open(bulk);
    if (opened.id().equals(link)) {
      return opened;
    }
    UUID id = opened.id();
    opened.close();
    throw new InvalidImageException(
        directory + ": expected the BULK volume " + link + " of this store, was " + id);
  }

  void isAway(Throwable e) {
    String text = "BULK: its volume cannot be opened, large values are offline: " + e.getMessage();
    if (!text.equals(problem)) {
      LOG.log(Level.WARNING, options.directory + ": " + text);
    }
    problem = text;
  }

  /** It does not answer, and the store goes on without it for now. */
  void isSilent() {
    if (values == null && problem == null) {
      problem = "BULK: its volume is being opened, large values are offline until then";
      LOG.log(Level.WARNING, options.directory + ": " + problem);
    }
  }

  /** The store that has the values. */
  OpenStore values() {
    OpenStore open = values;
    if (open == null) {
      String why = problem;
      throw new DeviceOfflineException(why == null ? "BULK: is not open" : why);
    }
    return open;
  }

  Tree tree() {
    Tree of = tree;
    if (of == null) {
      throw new IllegalStateException("expected the entries to be told first");
    }
    return of;
  }

  /** Whether nothing may be removed: who reads, or forced an open, may want to go back. */
  boolean keepsAll() {
    return options.readOnly || options.openDegraded;
  }

  // ---------------------------------------------------------------- values

  @Override
  public void store(byte[] place, byte[] value, PersistenceMode mode) {
    store(place, to -> to.put(place, value, farther(to, mode)));
  }

  @Override
  public void store(byte[] place, MemorySegment value, PersistenceMode mode) {
    MemorySegment key = MemorySegment.ofArray(place);
    store(place, to -> to.put(key, value, farther(to, mode)));
  }

  @Override
  public void store(byte[] place, ValueSource source, long length, PersistenceMode mode)
      throws IOException {
    OpenStore to = values();
    unsettled.add(new BulkPlace(place));
    // Its bytes come but once: room is made before, if it is short.
    if (to.stats().freeBytes() < 2 * length) {
      boolean _ = upkeep.makeRoom(0);
    }
    to.home().tree().put(OpenStore.OWN, place, source, length, farther(to, mode));
  }

  /** Stores a value. */
  @FunctionalInterface
  private interface Storing {
    void to(OpenStore values);
  }

  private void store(byte[] place, Storing storing) {
    OpenStore to = values();
    unsettled.add(new BulkPlace(place));
    for (int tried = 1; ; tried++) {
      long removals = upkeep.removals();
      try {
        storing.to(to);
        return;
      } catch (OutOfSpaceException e) {
        // What was left and is not yet removed is room, and what snapshots keep.
        if (tried == TRIES || !(upkeep.makeRoom(removals) || tree().giveWayInBulk())) {
          throw e;
        }
      }
    }
  }

  /** What is asked for, or what the volume does by itself if that is more. */
  private PersistenceMode farther(OpenStore to, PersistenceMode mode) {
    // Its files need not be persistent memory where those of the entries are: both outlive a loss
    // of power. Where commits carry records, they carry all of them: none without its value.
    boolean carries = raised || tree().commitsInOrder();
    PersistenceMode least =
        carries && mode == PersistenceMode.PROCESS ? PersistenceMode.FILE : mode;
    return to.persistence().reaches(least) ? to.persistence() : PersistenceMode.FILE;
  }

  @Override
  public void raise() {
    raising.lock();
    try {
      raised = true;
      // Who began before that may store less: their records are there once they are done with.
      Set<BulkPlace> before = Set.copyOf(unsettled);
      long deadline = System.nanoTime() + RAISE_NANOS;
      while (!Collections.disjoint(unsettled, before) && deadline - System.nanoTime() > 0) {
        LockSupport.parkNanos(100_000L);
      }
      OpenStore open = values;
      if (open != null) {
        open.sync(PersistenceMode.FILE);
      }
    } catch (HoldfastException e) {
      // It is away: what it has not is as lost as it was.
      LOG.log(Level.DEBUG, "the BULK volume is not synced", e);
    } finally {
      raising.unlock();
    }
  }

  @Override
  public byte @Nullable [] load(byte[] place, long length) {
    BulkCache copies = cache;
    byte[] copy = copies == null ? null : copies.get(place, length);
    if (copy != null) {
      return copy;
    }
    byte[] value = values().get(place);
    if (copies != null && value != null) {
      copies.put(place, value);
    }
    return value;
  }

  @Override
  public long load(byte[] place, long length, MemorySegment into) {
    BulkCache copies = cache;
    if (copies != null && copies.get(place, length, into)) {
      return length;
    }
    OpenStore from = values();
    long found = from.get(MemorySegment.ofArray(place), into);
    if (copies != null && copies.takes(place, found)) {
      // Read again: what is in the caller's memory others may change.
      byte[] value = from.get(place);
      if (value != null) {
        copies.put(place, value);
      }
    }
    return found;
  }

  @Override
  public @Nullable TreeLease lease(byte[] place) {
    return values().home().tree().lease(OpenStore.OWN, place);
  }

  @Override
  public boolean settled(byte[] place) {
    return unsettled.remove(new BulkPlace(place));
  }

  @Override
  public void remove(byte[] place) {
    upkeep.remove(place);
  }

  @Override
  public void lookForOthers() {
    upkeep.lookForOthers();
  }

  /** Nothing leads to the place any more, and the value is gone. */
  void removed(byte[] place) {
    BulkCache copies = cache;
    if (copies != null) {
      copies.forget(place);
    }
  }

  boolean isUnsettled(byte[] place) {
    return unsettled.contains(new BulkPlace(place));
  }

  boolean hasUnsettled() {
    return !unsettled.isEmpty();
  }

  /** Whether a store made it: a map, a key of a byte or more, a number. */
  static boolean isPlace(byte[] place) {
    return place.length > 1 + NUMBER;
  }

  /** The user's key of the value at a place. */
  private static byte[] keyOf(byte[] place) {
    return isPlace(place) ? Arrays.copyOfRange(place, 1, place.length - NUMBER) : place;
  }

  /** The number of the map of that key. */
  private static int mapOf(byte[] place) {
    return isPlace(place) ? Byte.toUnsignedInt(place[0]) : OpenStore.OWN;
  }

  /** Where it is noted, at a close, that nothing lies there to which no record leads. */
  Path noted() {
    return directory.resolve("swept");
  }

  // ---------------------------------------------------------------- how it is

  /** Figures of the cache; null if there is none. */
  StoreStats.@Nullable Cache cacheStats() {
    BulkCache copies = cache;
    return copies == null ? null : copies.stats();
  }

  /** The devices of the cache, for tests. */
  List<PmemDevice> cacheDevices() {
    BulkCache copies = cache;
    return copies == null ? List.of() : copies.devices();
  }

  /** What can be done about it; null if the store has none, or it is not open. */
  @Nullable VolumeAdmin admin() {
    return values;
  }

  /** Why it is not as it should be; null if it is, or there is none. */
  @Nullable String problem() {
    OpenStore open = values;
    if (!wanted || open == null) {
      return problem;
    }
    StoreHealth health = open.health();
    return health.state() == StoreState.ONLINE
        ? null
        : "BULK: " + health.state() + ": " + health.reason();
  }

  /** How it is, for users; null if there is none. */
  StoreHealth.@Nullable Bulk health(NamedMaps maps) {
    if (!wanted) {
      return null;
    }
    OpenStore open = values;
    if (open == null) {
      return new StoreHealth.Bulk(StoreState.FAILED, problem, List.of(), List.of());
    }
    StoreHealth health = open.health();
    List<StoreHealth.Lost> lost = new ArrayList<>();
    health.lost().forEach(each -> lost.add(ofEntries(each, maps)));
    return new StoreHealth.Bulk(health.state(), health.reason(), health.legs(), lost);
  }

  /** Adds the leases on values here. */
  StoreHealth.Leases add(StoreHealth.Leases leases) {
    OpenStore open = values;
    if (open == null) {
      return leases;
    }
    StoreHealth.Leases its = open.health().leases();
    return new StoreHealth.Leases(
        leases.open() + its.open(),
        leases.bytesHeld() + its.bytesHeld(),
        leases.gaveWay() + its.gaveWay());
  }

  /** The same in keys as users know them. */
  private static StoreHealth.Lost ofEntries(StoreHealth.Lost lost, NamedMaps maps) {
    byte[] key = lost.key();
    byte[] some = key != null ? key : lost.low() != null ? lost.low() : lost.high();
    byte[] low = lost.low();
    byte[] high = lost.high();
    return new StoreHealth.Lost(
        some == null || some.length == 0 ? null : maps.nameOf(Byte.toUnsignedInt(some[0])),
        key == null ? null : keyOf(key),
        // A bound may be any part of a place. What is cut off can only make the range larger.
        low == null || !isPlace(low) ? null : keyOf(low),
        high == null || high.length < 2 ? null : Arrays.copyOfRange(high, 1, high.length),
        lost.entries(),
        lost.offset(),
        lost.length());
  }

  /** Tells somebody what happens to it from now on. */
  void addListener(HealthListener listener) {
    HealthListener here = relay("BULK", listener);
    synchronized (listeners) {
      OpenStore open = values;
      if (wanted && listeners.putIfAbsent(listener, here) == null && open != null) {
        open.addListener(here);
      }
    }
  }

  void removeListener(HealthListener listener) {
    HealthListener here = listeners.remove(listener);
    OpenStore open = values;
    if (here != null && open != null) {
      open.removeListener(here);
    }
  }

  /** What happens to a volume, as those hear it who listen to the store as a whole. */
  static HealthListener relay(String role, HealthListener to) {
    return event ->
        to.onEvent(
            new HealthEvent(
                event.sequence(),
                event.nanoTime(),
                event.kind(),
                -1,
                0,
                0,
                event.leg() < 0
                    ? role + ": " + event.detail()
                    : role + " leg " + event.leg() + ": " + event.detail()));
  }

  // ---------------------------------------------------------------- what the store does as a whole

  /** Carries what was stored as far as a mode goes, if that is farther than it went by itself. */
  void sync(PersistenceMode mode) {
    OpenStore open = values;
    if (open != null && !open.persistence().reaches(mode)) {
      open.sync(farther(open, mode));
    }
  }

  void compact() {
    OpenStore open = values;
    try {
      if (open != null) {
        var _ = open.compact();
      }
    } catch (HoldfastException | IllegalStateException e) {
      LOG.log(Level.WARNING, directory + ": is not compacted: " + e.getMessage());
    }
  }

  /**
   * Reads all of it, for a store that is open to read alone; null if there is none. What a record
   * leads to and is not there counts as lost.
   */
  VerifyReport.@Nullable Bulk verify(NamedMaps maps) {
    OpenStore open = values;
    if (!wanted || open == null) {
      return wanted ? new VerifyReport.Bulk(problem, List.of(), List.of(), List.of()) : null;
    }
    VerifyReport found = open.verify();
    List<StoreHealth.Lost> lost = new ArrayList<>();
    found.lost().forEach(each -> lost.add(ofEntries(each, maps)));
    for (int number = 0; number < MapDirectory.NUMBER; number++) {
      missing(number, open, maps, lost);
    }
    return new VerifyReport.Bulk(
        null,
        found.legs(),
        found.findings().stream().map(each -> ofEntries(each, maps)).toList(),
        lost);
  }

  private void missing(int number, OpenStore open, NamedMaps maps, List<StoreHealth.Lost> missing) {
    TreeScan scan = tree().scan(number);
    scan.seek(null, true, false);
    while (true) {
      try {
        if (!scan.next(BulkUpkeep.WALK)) {
          return;
        }
      } catch (TreeScan.LostOnTheWay e) {
        continue; // The report has it.
      }
      byte[] place = scan.bulkPlace();
      if (place != null && open.home().tree().isAbsent(OpenStore.OWN, place)) {
        missing.add(new StoreHealth.Lost(maps.nameOf(number), scan.key(), null, null, 1, 0, 0));
      }
    }
  }

  private static VerifyReport.Finding ofEntries(VerifyReport.Finding found, NamedMaps maps) {
    List<byte[]> keys = new ArrayList<>();
    List<VerifyReport.NamedKey> named = new ArrayList<>();
    for (byte[] place : found.keys()) {
      String name = maps.nameOf(mapOf(place));
      if (name == null) {
        keys.add(keyOf(place));
      } else {
        named.add(new VerifyReport.NamedKey(name, keyOf(place)));
      }
    }
    return new VerifyReport.Finding(
        found.leg(), found.offset(), found.length(), found.fault(), found.isOnNoLeg(), keys, named);
  }

  // ---------------------------------------------------------------- closing

  /** Whether what began then is not worth waiting for: a medium of it hangs. */
  boolean isHopeless(long began) {
    OpenStore open = values;
    return open != null && open.isHopeless(began);
  }

  /** Removes what is left to be removed, while the store that leads to it still answers. */
  void stop(long nanos) {
    upkeep.end(nanos);
  }

  /** Closes it in order, behind the store that leads to it. */
  void close() {
    closed = true;
    BulkCache copies = cache;
    if (copies != null) {
      copies.close();
    }
    OpenStore open = values;
    if (open != null) {
      open.close();
      upkeep.note();
    }
  }

  void forceClose() {
    closed = true;
    upkeep.end(0);
    BulkCache copies = cache;
    if (copies != null) {
      copies.forceClose();
    }
    OpenStore open = values;
    if (open != null) {
      open.forceClose();
    }
  }
}
