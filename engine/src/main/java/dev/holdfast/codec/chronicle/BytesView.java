package dev.holdfast.codec.chronicle;

import dev.holdfast.KeyRange;
import dev.holdfast.RawMap;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.foreign.MemorySegment;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.bytes.BytesStore;
import org.jspecify.annotations.Nullable;

/**
 * A map whose keys and values are Chronicle {@code Bytes}, on or off the heap. They never lie on a
 * device: what is read is a verified copy.
 *
 * <p>Once a thread has done it, {@link #get}, {@link #put}, {@link #read} and each entry of a
 * {@link #scan} allocate nothing, for values of up to 4 KiB (a get: of up to 1 MiB), as far as the
 * map under it does not: an {@link dev.holdfast.ExpiringMap} does.
 *
 * <p><b>Threads:</b> as the map; the {@code Bytes} that are passed in belong to their caller.
 * <b>Failure:</b> what the map throws.
 */
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public final class BytesView {
  private final RawMap map;
  private final Buffers.Pool pool = new Buffers.Pool();

  private BytesView(RawMap map) {
    this.map = map;
  }

  /**
   * {@return a view of a map: a store's own, or one that has a name} Closing the store is the
   * owner's task.
   *
   * @param map the map
   */
  public static BytesView of(RawMap map) {
    return new BytesView(map);
  }

  /**
   * Sets the value of a key: the readable bytes of each.
   *
   * @param key the readable bytes of it
   * @param value the readable bytes of it
   */
  public void put(BytesStore<?, ?> key, BytesStore<?, ?> value) {
    Buffers buffers = pool.take();
    try {
      map.put(buffers.key(key), buffers.value(value));
    } finally {
      pool.give(buffers);
    }
  }

  /**
   * As {@link #put(BytesStore, BytesStore)}, acknowledged as far as {@code mode} says.
   *
   * @param key the readable bytes of it
   * @param value the readable bytes of it
   * @param mode how far the write has come when this returns
   */
  public void put(BytesStore<?, ?> key, BytesStore<?, ?> value, PersistenceMode mode) {
    Buffers buffers = pool.take();
    try {
      map.put(buffers.key(key), buffers.value(value), mode);
    } finally {
      pool.give(buffers);
    }
  }

  /**
   * Appends the value of a key to {@code into}.
   *
   * @param key the readable bytes of it
   * @param into gets the value behind what it holds
   * @return false if there is none; nothing was appended then
   */
  public boolean get(BytesStore<?, ?> key, Bytes<?> into) {
    Buffers buffers = pool.take();
    try {
      int length = copyOut(key, buffers);
      if (length < 0) {
        return false;
      }
      buffers.appendTo(into, length);
      return true;
    } finally {
      pool.give(buffers);
    }
  }

  /**
   * Calls {@code reader} with the value of a key, and returns what it made of it; null if there is
   * none.
   *
   * @param <R> what the reader makes of a value
   * @param key the readable bytes of it
   * @param reader is given the value; it may use the store
   * @return what the reader made of it; null if there is none
   */
  public <R extends @Nullable Object> @Nullable R read(
      BytesStore<?, ?> key, BytesReader<R> reader) {
    Buffers buffers = pool.take();
    try {
      int length = copyOut(key, buffers);
      return length < 0 ? null : reader.read(buffers.lend(length));
    } finally {
      pool.give(buffers);
    }
  }

  /** Copies the value of a key to the room of the buffers; its length, or -1 if there is none. */
  private int copyOut(BytesStore<?, ?> key, Buffers buffers) {
    MemorySegment wanted = buffers.key(key);
    while (true) {
      long length = map.get(wanted, buffers.room());
      if (length <= buffers.room().byteSize()) {
        return (int) length;
      }
      buffers.reserve((int) length); // It may be longer again when it is looked at again.
    }
  }

  /**
   * {@return whether the key has a value}
   *
   * @param key the readable bytes of it
   */
  public boolean containsKey(BytesStore<?, ?> key) {
    Buffers buffers = pool.take();
    try {
      return map.get(buffers.key(key), MemorySegment.NULL) >= 0;
    } finally {
      pool.give(buffers);
    }
  }

  /**
   * Removes a key; false if it has no value.
   *
   * @param key the readable bytes of it
   * @return false if it had no value
   */
  public boolean remove(BytesStore<?, ?> key) {
    return map.remove(key.toByteArray());
  }

  /**
   * Shows the entries of a range to a visitor, as {@link RawMap#scan} does.
   *
   * @param range which keys
   * @param reverse whether to go from the greatest key down
   * @param visitor is shown each entry; it may use the store
   * @return how many entries were shown
   */
  public long scan(KeyRange range, boolean reverse, BytesVisitor visitor) {
    Bytes<byte[]> key = Bytes.allocateElasticOnHeap();
    Bytes<byte[]> value = Bytes.allocateElasticOnHeap();
    try {
      return map.scan(
          range,
          reverse,
          (keys, keyAt, keyLength, values, valueAt, valueLength) ->
              visitor.visit(
                  set(key, keys, keyAt, keyLength), set(value, values, valueAt, valueLength)));
    } finally {
      key.releaseLast();
      value.releaseLast();
    }
  }

  private static Bytes<byte[]> set(Bytes<byte[]> target, byte[] from, int at, int length) {
    target.clear();
    target.write(from, at, length);
    return target;
  }
}
