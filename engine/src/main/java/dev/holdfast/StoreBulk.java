package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.tree.BulkSpace;
import dev.holdfast.tree.Tree;
import dev.holdfast.tree.TreeLease;
import dev.holdfast.tree.ValueSource;
import dev.holdfast.volume.Volume;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The BULK volume of a store: devices of their own for its large values. It is a store by itself,
 * with legs, a witness and an epoch of its own, in the directory {@code bulk}; so whatever happens
 * to its devices is found out, survived, repaired and named as it is for entries, and concerns
 * large values alone.
 *
 * <p>The store with the entries opens without it: large values are offline then, and are there
 * again once it can be opened, which is tried every second.
 *
 * <p><b>Threads:</b> {@link #tell}, {@link #begin} the one that opens the store; the rest any.
 */
final class StoreBulk implements BulkSpace {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** The directory, inside that of the store. */
  private static final String DIRECTORY = "bulk";

  private final StoreBuilder options;
  private final Path directory;

  /** The places of values that are stored, and to which nobody has led a record yet. */
  private final Set<BulkPlace> unsettled = ConcurrentHashMap.newKeySet();

  private final BulkUpkeep upkeep;

  private volatile @Nullable OpenStore values;
  private volatile @Nullable BulkCache cache;

  /** Why it is not open; null if it is, or if there is none. */
  private volatile @Nullable String problem;

  private @Nullable UUID linked;
  private volatile boolean wanted;
  private volatile boolean closed;

  StoreBulk(StoreBuilder options) {
    this.options = options;
    this.directory = options.directory.resolve(DIRECTORY);
    this.upkeep = new BulkUpkeep(this, options.directory.toString());
  }

  // ---------------------------------------------------------------- opening

  /** Tells the tree of it, if the store has one or is to get one; before the tree is opened. */
  void tell(Tree tree, Volume entries) {
    linked = entries.config().bulk();
    wanted = linked != null || !options.bulkFiles.isEmpty() || Files.exists(witness());
    if (wanted) {
      tree.bulkAt(this);
    }
  }

  private Path witness() {
    return directory.resolve("witness");
  }

  /**
   * Opens it, or makes it where the store is to get one. Where one that the store has cannot be
   * opened, it is tried again later.
   *
   * @throws InvalidImageException if what was named is the BULK volume of another store
   */
  void begin(Tree tree, Volume entries) {
    if (!wanted) {
      if (options.cacheFile != null) {
        throw new IllegalArgumentException(
            "cache: expected a store with a BULK volume, of whose values it has copies, has none");
      }
      return;
    }
    UUID link = linked;
    if (link == null) {
      link(entries);
    } else {
      try {
        values = openLinked(link);
      } catch (ForeignBulkException e) {
        throw new InvalidImageException(String.valueOf(e.getMessage()));
      } catch (HoldfastException e) {
        isAway(e);
      }
    }
    Path cacheFile = options.cacheFile;
    if (cacheFile != null && !options.readOnly) {
      cache = BulkCache.open(options, cacheFile, options.cacheBytes);
    }
    upkeep.begin(tree, options.readOnly);
  }

  /** Makes one, or takes up what a former open made and had no time to note. */
  private void link(Volume entries) {
    if (options.readOnly || entries.isReadOnly()) {
      problem = "BULK: cannot be made, as nothing may be written";
      return;
    }
    OpenStore made = StoreOpening.open(options.ofBulk(directory, false));
    boolean done = false;
    try {
      if (made.stats().entries() != 0 || made.cursor(KeyRange.all()).next()) {
        throw new InvalidImageException(
            options.bulkFiles
                + ": expected free places for the BULK volume of a store that has none, was one"
                + " with entries");
      }
      linked = made.id();
      entries.configure(config -> config.withBulk(made.id()));
      values = made;
      done = true;
    } finally {
      if (!done) {
        made.close();
      }
    }
  }

  private OpenStore openLinked(UUID link) {
    OpenStore opened = StoreOpening.open(options.ofBulk(directory, true));
    if (opened.id().equals(link)) {
      return opened;
    }
    UUID id = opened.id();
    opened.close();
    throw new ForeignBulkException(
        directory + ": expected the BULK volume " + link + " of this store, was " + id);
  }

  /** It is somebody else's. */
  private static final class ForeignBulkException extends HoldfastException {
    private static final long serialVersionUID = 1L;

    ForeignBulkException(String message) {
      super(message, null);
    }
  }

  private void isAway(HoldfastException e) {
    String text = "BULK: its volume cannot be opened, large values are offline: " + e.getMessage();
    if (!text.equals(problem)) {
      LOG.log(Level.WARNING, options.directory + ": " + text);
    }
    problem = text;
  }

  /** Tries to open it where it is not open; whether it is. By one thread at a time. */
  boolean isOpen() {
    UUID link = linked;
    if (values == null && link != null && !closed) {
      try {
        OpenStore opened = openLinked(link);
        values = opened;
        problem = null;
        if (closed) {
          opened.close();
        }
      } catch (HoldfastException e) {
        isAway(e);
      }
    }
    return values != null && !closed;
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

  // ---------------------------------------------------------------- values

  @Override
  public void store(byte[] place, byte[] value, PersistenceMode mode) {
    OpenStore to = begin(place);
    to.put(place, value, farther(to, mode));
  }

  @Override
  public void store(byte[] place, MemorySegment value, PersistenceMode mode) {
    OpenStore to = begin(place);
    to.put(MemorySegment.ofArray(place), value, farther(to, mode));
  }

  @Override
  public void store(byte[] place, ValueSource source, long length, PersistenceMode mode)
      throws IOException {
    OpenStore to = begin(place);
    to.home().tree().put(OpenStore.OWN, place, source, length, farther(to, mode));
  }

  /** What is asked for, or what the volume does by itself if that is more. */
  private static PersistenceMode farther(OpenStore to, PersistenceMode mode) {
    // Its files need not be persistent memory where those of the entries are: both outlive a loss
    // of
    // power.
    return to.persistence().reaches(mode) ? to.persistence() : PersistenceMode.FILE;
  }

  private OpenStore begin(byte[] place) {
    OpenStore to = values();
    unsettled.add(new BulkPlace(place));
    return to;
  }

  @Override
  public byte @Nullable [] load(byte[] place) {
    BulkCache copies = cache;
    byte[] copy = copies == null ? null : copies.get(place);
    if (copy != null) {
      return copy;
    }
    byte[] value = values().get(place);
    if (copies != null && value != null) {
      copies.put(place, MemorySegment.ofArray(value));
    }
    return value;
  }

  @Override
  public long load(byte[] place, MemorySegment into) {
    BulkCache copies = cache;
    long copied = copies == null ? -1 : copies.get(place, into);
    if (copied >= 0) {
      return copied;
    }
    long length = values().get(MemorySegment.ofArray(place), into);
    if (copies != null && length >= 0 && length <= into.byteSize()) {
      copies.put(place, into.asSlice(0, length));
    }
    return length;
  }

  @Override
  public @Nullable TreeLease lease(byte[] place) {
    return values().home().tree().lease(OpenStore.OWN, place);
  }

  @Override
  public void settled(byte[] place) {
    unsettled.remove(new BulkPlace(place));
  }

  @Override
  public void remove(byte[] place) {
    upkeep.remove(place);
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

  /** The user's key of the value at a place. */
  static byte[] keyOf(byte[] place) {
    return Arrays.copyOfRange(place, 1, place.length - NUMBER);
  }

  /** The number of the map of that key. */
  static int mapOf(byte[] place) {
    return Byte.toUnsignedInt(place[0]);
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

  /** The same in keys as users know them. */
  private static StoreHealth.Lost ofEntries(StoreHealth.Lost lost, NamedMaps maps) {
    byte[] key = lost.key();
    byte[] some = key != null ? key : lost.low() != null ? lost.low() : lost.high();
    return new StoreHealth.Lost(
        some == null || some.length == 0 ? null : maps.nameOf(Byte.toUnsignedInt(some[0])),
        key == null ? null : keyOf(key),
        bound(lost.low()),
        bound(lost.high()),
        lost.entries(),
        lost.offset(),
        lost.length());
  }

  private static byte @Nullable [] bound(byte @Nullable [] place) {
    return place == null || place.length < 2 ? null : Arrays.copyOfRange(place, 1, place.length);
  }

  // ---------------------------------------------------------------- what the store does as a whole

  /** Carries what was stored as far as a mode goes. */
  void sync(PersistenceMode mode) {
    OpenStore open = values;
    if (open != null) {
      open.sync(farther(open, mode));
    }
  }

  void compact() {
    OpenStore open = values;
    if (open != null) {
      var _ = open.compact();
    }
  }

  /** Reads all of it, for a store that is open to read alone; null if there is none. */
  VerifyReport.@Nullable Bulk verify(NamedMaps maps) {
    OpenStore open = values;
    if (!wanted || open == null) {
      return wanted ? new VerifyReport.Bulk(problem, List.of(), List.of(), List.of()) : null;
    }
    VerifyReport found = open.verify();
    return new VerifyReport.Bulk(
        null,
        found.legs(),
        found.findings().stream().map(each -> ofEntries(each, maps)).toList(),
        found.lost().stream().map(each -> ofEntries(each, maps)).toList());
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

  /** What happens to it, as those hear it who listen to the store as a whole. */
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
}
