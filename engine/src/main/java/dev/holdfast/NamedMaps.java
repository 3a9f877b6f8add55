package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The maps of an open store that have names: which there are, and what their users share of each.
 *
 * <p>A map is dropped in three steps. The directory says so, durably; its gate closes, so that
 * nothing is written from then on; once the last writer is out, {@link MapUpkeep} removes the
 * entries, and the number is free. A crash between two steps is made good by the next open, which
 * knows of no writers.
 *
 * <p><b>Threads:</b> any.
 */
final class NamedMaps {
  private static final int MOST_NAME_BYTES = 255;
  private static final long CLEARED_NANOS = 60_000_000_000L;

  private final Tree tree;
  private final Volume volume;
  private final ReverseMap reverseMap;
  private final PersistenceMode persistence;
  private final LongSupplier wallClock;
  private final MapUpkeep upkeep;
  private final ReentrantLock lock = new ReentrantLock();

  /** Guarded by {@code lock}. */
  private final MapDirectory directory;

  /** Guarded by {@code lock}. */
  private boolean loaded;

  /** What the directory said last, for those who must not wait; null before it was read. */
  private volatile @Nullable Known known;

  /** The gates of maps that were dropped, by number. Guarded by {@code lock}. */
  private final Map<Integer, MapGate> closing = new HashMap<>();

  /** What was asked for, by name: it is found without the lock. */
  private final Map<String, OpenMap> open = new ConcurrentHashMap<>();

  /** The names by number, and the numbers that are being cleared. */
  private record Known(Map<Integer, String> names, Set<Integer> clearing) {}

  /**
   * @param where the directory of the store
   * @param sweepEvery how often what has expired is removed; zero: never
   * @param wallClock the time of day, in milliseconds since 1970
   */
  NamedMaps(
      Tree tree,
      Volume volume,
      ReverseMap reverseMap,
      PersistenceMode persistence,
      String where,
      Duration sweepEvery,
      LongSupplier wallClock) {
    this.tree = tree;
    this.volume = volume;
    this.reverseMap = reverseMap;
    this.persistence = persistence;
    this.wallClock = wallClock;
    this.directory = new MapDirectory(tree, persistence, where);
    this.upkeep = new MapUpkeep(this, tree, where, sweepEvery, wallClock);
  }

  /** Goes on with what was left to be cleared. */
  void begin() {
    if (volume.config().maps() && !volume.isReadOnly()) {
      upkeep.wake();
    }
  }

  /** Ends what works in the background; waits for it that long. */
  void end(long nanos) {
    upkeep.end(nanos);
  }

  // ---------------------------------------------------------------- for users

  NamedMap map(String name) {
    OpenMap found = open.get(name);
    return asNamed(found != null ? found : openOrMake(name, MapDirectory.Kind.PLAIN));
  }

  private static NamedMap asNamed(OpenMap map) {
    return switch (map) {
      case OpenNamedMap plain -> plain;
      case OpenExpiringMap expiring -> expiring;
      case OpenStore _ -> throw new IllegalStateException("a store is no named map");
    };
  }

  ExpiringMap expiring(String name) {
    OpenMap found = open.get(name);
    OpenMap map = found != null ? found : openOrMake(name, MapDirectory.Kind.EXPIRING);
    if (map instanceof OpenExpiringMap expiring) {
      return expiring;
    }
    throw new IllegalArgumentException(
        "map " + name + ": expected one whose entries may expire, was a plain one");
  }

  /** A map of a kind; made where there is none, or one of another kind. */
  OpenMap like(String name, MapDirectory.Listing other) {
    OpenMap found = openOrMake(name, other.kind());
    if (found instanceof OpenExpiringMap == (other.kind() == MapDirectory.Kind.EXPIRING)) {
      return found;
    }
    boolean _ = drop(name);
    return openOrMake(name, other.kind());
  }

  private OpenMap openOrMake(String name, MapDirectory.Kind kind) {
    requireName(name);
    lock.lock();
    try {
      OpenMap found = open.get(name);
      if (found != null) {
        return found;
      }
      load();
      MapDirectory.Listing listing = directory.find(name);
      long madeAt = 0;
      if (listing == null) {
        if (!volume.config().maps()) {
          volume.configure(config -> config.withMaps());
        }
        listing = changed(() -> directory.create(name, kind));
        madeAt = tree.sequence();
      }
      OpenMap made = handle(name, listing, madeAt);
      open.put(name, made);
      if (made instanceof OpenExpiringMap && !volume.isReadOnly()) {
        upkeep.wake();
      }
      return made;
    } finally {
      lock.unlock();
    }
  }

  private OpenMap handle(String name, MapDirectory.Listing listing, long madeAt) {
    OpenNamedMap plain =
        new OpenNamedMap(
            tree, listing.number(), new MapGate(name, madeAt), persistence, reverseMap);
    return listing.kind() == MapDirectory.Kind.EXPIRING
        ? new OpenExpiringMap(plain, wallClock)
        : plain;
  }

  List<String> names() {
    lock.lock();
    try {
      load();
      return directory.names();
    } finally {
      lock.unlock();
    }
  }

  boolean drop(String name) {
    lock.lock();
    try {
      load();
      MapDirectory.Listing listing = directory.find(name);
      if (listing == null) {
        return false;
      }
      MapDirectory.Listing _ =
          changed(() -> {
            directory.drop(name, listing);
            return listing;
          });
      agree();
    } finally {
      lock.unlock();
    }
    upkeep.wake();
    return true;
  }

  void rename(String from, String to) {
    requireName(to);
    lock.lock();
    try {
      load();
      MapDirectory.Listing listing = directory.find(from);
      if (listing == null) {
        throw new IllegalArgumentException(
            "map " + from + ": expected one that is there, was none");
      }
      if (from.equals(to)) {
        return;
      }
      if (directory.find(to) != null) {
        throw new IllegalArgumentException(
            "map " + to + ": expected a name that is free, was taken");
      }
      MapDirectory.Listing _ =
          changed(() -> {
            directory.rename(from, to, listing);
            return listing;
          });
      agree();
    } finally {
      lock.unlock();
    }
  }

  private static void requireName(String name) {
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
      throw new IllegalArgumentException(
          "name of a map: expected characters, had half of one that takes two");
    }
    int bytes = name.getBytes(StandardCharsets.UTF_8).length;
    if (bytes == 0 || bytes > MOST_NAME_BYTES || name.chars().anyMatch(Character::isISOControl)) {
      throw new IllegalArgumentException(
          "name of a map: expected 1 to "
              + MOST_NAME_BYTES
              + " bytes of UTF-8 and no control characters, was "
              + (bytes == 0 ? "empty" : bytes + " bytes"));
    }
  }

  /** Reads the directory, where there may be one and it was not read. */
  private void load() {
    if (loaded || !volume.config().maps()) {
      return;
    }
    // A change that may count does not show while its batch is in doubt: it is read again then.
    boolean settled = !tree.isBatchInDoubt();
    directory.load();
    agree();
    publish();
    loaded = settled;
    if (settled && !directory.clearing().isEmpty() && !volume.isReadOnly()) {
      upkeep.wake();
    }
  }

  /** Changes the directory. Where that throws it may have happened: it is read again then. */
  private MapDirectory.Listing changed(Supplier<MapDirectory.Listing> change) {
    loaded = false;
    MapDirectory.Listing result = change.get();
    loaded = true;
    publish();
    return result;
  }

  /**
   * Has the maps that are open agree with the directory: each by the name that it has now, and the
   * gates closed of those that were dropped.
   */
  private void agree() {
    SortedSet<Integer> dropped = directory.clearing();
    for (Map.Entry<String, OpenMap> each : List.copyOf(open.entrySet())) {
      OpenMap map = each.getValue();
      MapHome home = map.home();
      MapGate gate = home.gate();
      String name = directory.nameOf(home.number());
      if (gate == null || each.getKey().equals(name)) {
        continue;
      }
      if (name != null) {
        gate.rename(name);
        open.remove(each.getKey(), map);
        open.put(name, map);
      } else if (dropped.contains(home.number())) {
        gate.close();
        closing.put(home.number(), gate);
        open.remove(each.getKey(), map);
      }
    }
  }

  private void publish() {
    known = new Known(directory.namesByNumber(), Set.copyOf(directory.clearing()));
  }

  /**
   * What the directory said last. Waits for nobody: who asks may be about to say that the store is
   * in trouble.
   *
   * @return null where it was never read, and cannot be now
   */
  private @Nullable Known known() {
    Known now = known;
    if (now == null && lock.tryLock()) {
      try {
        load();
        publish();
        now = known;
      } catch (HoldfastException e) {
        return null;
      } finally {
        lock.unlock();
      }
    }
    return now;
  }

  // ---------------------------------------------------------------- for the store

  /** The time by which entries expire, in milliseconds since 1970. */
  long now() {
    return wallClock.getAsLong();
  }

  /** The name of the map that a key belongs to; null for the store's own. */
  @Nullable String nameOf(int number) {
    if (number == OpenStore.OWN) {
      return null;
    }
    if (number == MapDirectory.NUMBER) {
      return "(names of maps)";
    }
    Known now = known();
    return now == null ? "(number " + number + ")" : now.names.getOrDefault(number, "(dropped)");
  }

  /** Adds what is lost, for each map that it may be of. */
  void addLost(LossRecord record, List<StoreHealth.Lost> lost) {
    byte[] key = record.key();
    if (key != null) {
      lost.add(
          new StoreHealth.Lost(
              nameOf(Tree.mapOf(key)),
              Tree.userKey(key),
              Tree.userKey(record.low()),
              Tree.userKey(record.high()),
              1,
              record.offset(),
              record.length()));
      return;
    }
    long[] entries = record.fingerprints();
    for (int number : numbers()) {
      byte[] end = number == MapDirectory.NUMBER ? null : new byte[] {(byte) (number + 1)};
      if (record.meets(new byte[] {(byte) number}, end)) {
        lost.add(
            new StoreHealth.Lost(
                nameOf(number),
                null,
                boundIn(number, record.low()),
                boundIn(number, record.high()),
                entries == null ? -1 : entries.length,
                record.offset(),
                record.length()));
      }
    }
  }

  private static byte @Nullable [] boundIn(int number, byte @Nullable [] bound) {
    return bound == null || bound.length < 2 || Tree.mapOf(bound) != number
        ? null
        : Tree.userKey(bound);
  }

  /** The numbers that keys may begin with. */
  private List<Integer> numbers() {
    List<Integer> numbers = new ArrayList<>();
    numbers.add(OpenStore.OWN);
    if (!volume.config().maps()) {
      return numbers;
    }
    Known now = known();
    for (int number = 1; number < MapDirectory.NUMBER; number++) {
      // Where it cannot be read any of them may be one.
      if (now == null || now.names.containsKey(number) || now.clearing.contains(number)) {
        numbers.add(number);
      }
    }
    numbers.add(MapDirectory.NUMBER);
    return numbers;
  }

  // ---------------------------------------------------------------- for the upkeep

  /** The numbers of maps that were dropped, and that nobody writes to any more. */
  List<Integer> toClear() {
    lock.lock();
    try {
      load();
      SortedSet<Integer> numbers = directory.clearing();
      closing.values().removeIf(MapGate::isEmpty);
      numbers.removeAll(closing.keySet());
      return List.copyOf(numbers);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits until nothing is left of maps that were dropped.
   *
   * @throws DeviceIoException if nothing was removed for a minute
   */
  void awaitCleared() {
    long entries = Long.MAX_VALUE;
    long since = System.nanoTime();
    while (true) {
      lock.lock();
      try {
        load();
        if (directory.clearing().isEmpty()) {
          return;
        }
      } finally {
        lock.unlock();
      }
      long now = tree.entries();
      if (now < entries) {
        entries = now;
        since = System.nanoTime();
      } else if (System.nanoTime() - since > CLEARED_NANOS) {
        throw new DeviceIoException("entries of maps that were dropped cannot be removed");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Whether writers of maps that were dropped are still under way. */
  boolean hasWriters() {
    lock.lock();
    try {
      return !closing.isEmpty();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Nothing is left of a map that was dropped. What removed its entries is durable before its
   * number is free: else a power cut might show them in the next map that has it.
   */
  void cleared(int number) {
    tree.sync(persistence);
    lock.lock();
    try {
      directory.cleared(number);
      publish();
    } finally {
      lock.unlock();
    }
  }

  /** The maps whose entries may expire. */
  List<OpenExpiringMap> expiringMaps() {
    List<OpenExpiringMap> found = new ArrayList<>();
    lock.lock();
    try {
      load();
      for (String name : directory.names()) {
        MapDirectory.Listing listing = directory.find(name);
        if (listing != null && listing.kind() == MapDirectory.Kind.EXPIRING) {
          OpenMap map = open.computeIfAbsent(name, _ -> handle(name, listing, 0));
          if (map instanceof OpenExpiringMap expiring) {
            found.add(expiring);
          }
        }
      }
      return found;
    } finally {
      lock.unlock();
    }
  }
}
