package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.BatchOps;
import dev.holdfast.tree.ReadGuard;
import dev.holdfast.tree.Tree;
import java.lang.foreign.MemorySegment;
import java.time.Instant;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Writes that count together or not at all; they do once {@link Store#write} is called, in the
 * store's own map, or in any of its maps that is passed in. Of several operations on one key the
 * last one counts. Keys and values are copied when they are added.
 *
 * <p>A batch can be filled and written again after {@link #clear}, and as it is: memory that it has
 * is used again, up to a few MiB.
 *
 * <p><b>Threads:</b> one at a time.
 */
public final class WriteBatch {
  /** The most bytes of keys and values together. */
  public static final long MAX_BYTES = BatchOps.MAX_BYTES;

  private final BatchOps ops = new BatchOps();
  private final AtomicBoolean written = new AtomicBoolean();

  /** The named maps that it writes to; their gates are passed when it is written. */
  private final Set<MapHome> homes = new LinkedHashSet<>();

  /** An empty batch. */
  public WriteBatch() {}

  /**
   * Sets the value of a key.
   *
   * @param key the key
   * @param value the value
   * @return this batch
   * @throws IllegalArgumentException if the key or the value is too long, or the batch too large
   */
  public WriteBatch put(byte[] key, byte[] value) {
    requireFree();
    ops.put(OpenStore.OWN, key, value);
    return this;
  }

  /**
   * Sets the value of a key, from memory on or off the heap.
   *
   * @param key the key
   * @param value the value
   * @return this batch
   * @throws IllegalArgumentException if the key or the value is too long, or the batch too large
   */
  public WriteBatch put(MemorySegment key, MemorySegment value) {
    requireFree();
    ops.put(OpenStore.OWN, key, value);
    return this;
  }

  /**
   * Removes a key, if it is there.
   *
   * @param key the key
   * @return this batch
   * @throws IllegalArgumentException if the key is too long, or the batch too large
   */
  public WriteBatch remove(byte[] key) {
    requireFree();
    ops.remove(OpenStore.OWN, key);
    return this;
  }

  /**
   * Sets the value of a key of a map of the store that it will be written to; in an {@link
   * ExpiringMap} with no deadline.
   *
   * @param map the map; one of the store that it is written to
   * @param key the key
   * @param value the value
   * @return this batch
   * @throws IllegalArgumentException if the key or the value is too long, or the batch too large,
   *     or the map is none of an open store
   */
  public WriteBatch put(RawMap map, byte[] key, byte[] value) {
    requireFree();
    OpenMap open = opened(map);
    ops.put(open.home().number(), key, open.stored(value));
    note(open.home());
    return this;
  }

  /**
   * As {@link #put(RawMap, byte[], byte[])}, with a deadline.
   *
   * @param map the map; one of the store that it is written to
   * @param key the key
   * @param value the value
   * @param deadline when it expires
   * @return this batch
   */
  public WriteBatch putUntil(ExpiringMap map, byte[] key, byte[] value, Instant deadline) {
    requireFree();
    OpenMap open = opened(map);
    ops.put(open.home().number(), key, Expiry.encode(Expiry.of(deadline), value));
    note(open.home());
    return this;
  }

  /**
   * Removes a key of a map of the store that it will be written to, if it is there.
   *
   * @param map the map; one of the store that it is written to
   * @param key the key
   * @return this batch
   */
  public WriteBatch remove(RawMap map, byte[] key) {
    requireFree();
    OpenMap open = opened(map);
    ops.remove(open.home().number(), key);
    note(open.home());
    return this;
  }

  /** Sets a key to what is stored of its value as it is. */
  void putStored(MapHome home, MemorySegment key, MemorySegment stored) {
    requireFree();
    ops.put(home.number(), key, stored);
    note(home);
  }

  /** Removes a key of a map. */
  void remove(MapHome home, byte[] key) {
    requireFree();
    ops.remove(home.number(), key);
    note(home);
  }

  static OpenMap opened(RawMap map) {
    if (map instanceof OpenMap open) {
      return open;
    }
    throw new IllegalArgumentException(
        "map: expected one that a store gave out, was " + map.getClass().getName());
  }

  private void note(MapHome home) {
    boolean _ = homes.add(home);
  }

  /** {@return the number of operations} */
  public int size() {
    return ops.size();
  }

  /** {@return the bytes of the keys and values} */
  public long bytes() {
    return ops.bytes();
  }

  /** Forgets all operations. */
  public void clear() {
    requireFree();
    ops.clear();
    homes.clear();
  }

  private void requireFree() {
    if (written.getPlain()) {
      throw new ConcurrentModificationException("batch: it is being written by another thread");
    }
  }

  /** Nobody else changes it from now on. */
  void begin() {
    if (!written.compareAndSet(false, true)) {
      throw new ConcurrentModificationException("batch: it is being written by another thread");
    }
  }

  /** Writes it, if what it was made from still is so; null: from nothing. */
  void write(Tree tree, PersistenceMode mode, @Nullable ReadGuard guard) {
    for (MapHome home : homes) {
      if (home.tree() != tree) {
        throw new IllegalArgumentException(
            "batch: expected maps of the store that it is written to, was one of another store");
      }
    }
    if (homes.isEmpty()) {
      tree.write(ops, mode, guard);
      return;
    }
    List<Runnable> exits = new ArrayList<>();
    try {
      for (MapHome home : homes) {
        MapGate gate = home.gate();
        if (gate != null) {
          int inside = gate.enter();
          exits.add(() -> gate.exit(inside));
        }
      }
      tree.write(ops, mode, guard);
    } finally {
      exits.forEach(Runnable::run);
    }
  }

  void end() {
    written.set(false);
  }
}
