package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Writes to a map that are all acknowledged as far as one mode says.
 *
 * @param map what is written to
 * @param mode null for what the map does by itself
 */
record ModedWrites(RawMap map, @Nullable PersistenceMode mode) {
  void put(byte[] key, byte[] value) {
    if (mode == null) {
      map.put(key, value);
    } else {
      map.put(key, value, mode);
    }
  }

  boolean putIfAbsent(byte[] key, byte[] value) {
    return mode == null ? map.putIfAbsent(key, value) : map.putIfAbsent(key, value, mode);
  }

  boolean replace(byte[] key, byte[] value) {
    return mode == null ? map.replace(key, value) : map.replace(key, value, mode);
  }

  boolean replace(byte[] key, byte[] expected, byte[] value) {
    return mode == null
        ? map.replace(key, expected, value)
        : map.replace(key, expected, value, mode);
  }

  boolean remove(byte[] key) {
    return mode == null ? map.remove(key) : map.remove(key, mode);
  }

  boolean remove(byte[] key, byte[] expected) {
    return mode == null ? map.remove(key, expected) : map.remove(key, expected, mode);
  }

  byte @Nullable [] compute(
      byte[] key, BiFunction<byte[], byte @Nullable [], byte @Nullable []> function) {
    return mode == null ? map.compute(key, function) : map.compute(key, function, mode);
  }

  byte @Nullable [] computeIfAbsent(byte[] key, Function<byte[], byte @Nullable []> function) {
    return mode == null
        ? map.computeIfAbsent(key, function)
        : map.computeIfAbsent(key, function, mode);
  }

  byte @Nullable [] computeIfPresent(
      byte[] key, BiFunction<byte[], byte[], byte @Nullable []> function) {
    return mode == null
        ? map.computeIfPresent(key, function)
        : map.computeIfPresent(key, function, mode);
  }

  byte @Nullable [] getAndPut(byte[] key, byte[] value) {
    return mode == null ? map.getAndPut(key, value) : map.getAndPut(key, value, mode);
  }

  byte @Nullable [] getAndPutIfAbsent(byte[] key, byte[] value) {
    return mode == null
        ? map.getAndPutIfAbsent(key, value)
        : map.getAndPutIfAbsent(key, value, mode);
  }

  byte @Nullable [] getAndRemove(byte[] key) {
    return mode == null ? map.getAndRemove(key) : map.getAndRemove(key, mode);
  }

  /** The value of a key, which is as durable as the mode says; null if there is none. */
  byte @Nullable [] getAcknowledged(byte[] key) {
    return computeIfAbsent(key, _ -> null);
  }
}
