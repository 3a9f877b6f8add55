package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.ValueSource;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ReadableByteChannel;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A map of an open store: all forms of the methods, out of the few that subclasses have.
 *
 * <p><b>Threads:</b> any.
 */
abstract sealed class OpenMap implements RawMap permits OpenStore, OpenNamedMap, OpenExpiringMap {
  final PersistenceMode persistence;
  final ReverseMap reverseMap;
  private final AtomicUpdates updates;

  /**
   * @param persistence how far a write comes where nothing else is asked for
   * @param reverseMap knows who reads
   * @param acknowledgement waits until what a key has is durable
   */
  OpenMap(
      PersistenceMode persistence,
      ReverseMap reverseMap,
      AtomicUpdates.Acknowledgement acknowledgement) {
    this.persistence = persistence;
    this.reverseMap = reverseMap;
    this.updates = new AtomicUpdates(this, acknowledgement);
  }

  // ---------------------------------------------------------------- what subclasses have

  /** Where the entries lie: itself, or what it keeps its own in. */
  abstract MapHome home();

  /** The same map with its values as they are stored. */
  OpenMap raw() {
    return this;
  }

  /** A value as it is stored. */
  byte[] stored(byte[] value) {
    return value;
  }

  abstract void store(byte[] key, ValueSource source, long length) throws IOException;

  // ---------------------------------------------------------------- forms

  @Override
  public <R extends @Nullable Object> @Nullable R read(byte[] key, ValueReader<R> reader) {
    ScopedRead scope = new ScopedRead();
    long pin = reverseMap.pin(VolumeLayout.RECORDS_OFFSET, 1, scope);
    try {
      byte[] value = get(key);
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
  public void put(byte[] key, InputStream source, long length) throws IOException {
    store(key, ValueStreams.from(source), length);
  }

  @Override
  public void put(byte[] key, ReadableByteChannel source, long length) throws IOException {
    store(key, ValueStreams.from(source), length);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    put(key, value, persistence);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value) {
    put(key, value, persistence);
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value) {
    return putIfAbsent(key, value, persistence);
  }

  @Override
  public boolean replace(byte[] key, byte[] value) {
    return replace(key, value, persistence);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value) {
    return replace(key, expected, value, persistence);
  }

  @Override
  public boolean remove(byte[] key) {
    return remove(key, persistence);
  }

  @Override
  public boolean remove(byte[] key, byte[] expected) {
    return remove(key, expected, persistence);
  }

  // ---------------------------------------------------------------- read, modify, write

  AtomicUpdates updates() {
    return updates;
  }

  @Override
  public byte @Nullable [] compute(
      byte[] key, BiFunction<byte[], byte @Nullable [], byte @Nullable []> function) {
    return compute(key, function, persistence);
  }

  @Override
  public byte @Nullable [] compute(
      byte[] key,
      BiFunction<byte[], byte @Nullable [], byte @Nullable []> function,
      PersistenceMode mode) {
    return updates
        .update(
            key, value -> function.apply(key.clone(), value == null ? null : value.clone()), mode)
        .value();
  }

  @Override
  public byte @Nullable [] computeIfAbsent(
      byte[] key, Function<byte[], byte @Nullable []> function) {
    return computeIfAbsent(key, function, persistence);
  }

  @Override
  public byte @Nullable [] computeIfAbsent(
      byte[] key, Function<byte[], byte @Nullable []> function, PersistenceMode mode) {
    return updates
        .update(key, value -> value != null ? value : function.apply(key.clone()), mode)
        .value();
  }

  @Override
  public byte @Nullable [] computeIfPresent(
      byte[] key, BiFunction<byte[], byte[], byte @Nullable []> function) {
    return computeIfPresent(key, function, persistence);
  }

  @Override
  public byte @Nullable [] computeIfPresent(
      byte[] key, BiFunction<byte[], byte[], byte @Nullable []> function, PersistenceMode mode) {
    return updates
        .update(
            key, value -> value == null ? null : function.apply(key.clone(), value.clone()), mode)
        .value();
  }

  @Override
  public byte @Nullable [] merge(
      byte[] key, byte[] value, BiFunction<byte[], byte[], byte @Nullable []> function) {
    return merge(key, value, function, persistence);
  }

  @Override
  public byte @Nullable [] merge(
      byte[] key,
      byte[] value,
      BiFunction<byte[], byte[], byte @Nullable []> function,
      PersistenceMode mode) {
    byte[] given = value.clone();
    return updates
        .update(
            key,
            former ->
                former == null ? given.clone() : function.apply(former.clone(), given.clone()),
            mode)
        .value();
  }

  @Override
  public byte @Nullable [] getAndPut(byte[] key, byte[] value) {
    return getAndPut(key, value, persistence);
  }

  @Override
  public byte @Nullable [] getAndPut(byte[] key, byte[] value, PersistenceMode mode) {
    byte[] given = value.clone();
    return updates.update(key, _ -> given, mode).former();
  }

  @Override
  public byte @Nullable [] getAndPutIfAbsent(byte[] key, byte[] value) {
    return getAndPutIfAbsent(key, value, persistence);
  }

  @Override
  public byte @Nullable [] getAndPutIfAbsent(byte[] key, byte[] value, PersistenceMode mode) {
    byte[] given = value.clone();
    return updates.update(key, former -> former == null ? given : former, mode).former();
  }

  @Override
  public byte @Nullable [] getAndRemove(byte[] key) {
    return getAndRemove(key, persistence);
  }

  @Override
  public byte @Nullable [] getAndRemove(byte[] key, PersistenceMode mode) {
    return updates.update(key, _ -> null, mode).former();
  }

  @Override
  public long add(byte[] key, long delta) {
    return add(key, delta, persistence);
  }

  @Override
  public long add(byte[] key, long delta, PersistenceMode mode) {
    return updates.add(key, delta, mode);
  }
}
