package dev.holdfast.crash;

import dev.holdfast.Store;
import dev.holdfast.WriteBatch;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * One operation on a store, and what it makes of its contents, all at once.
 *
 * @param entries the new values, null for keys that go
 * @param action what is called
 */
record Change(Map<String, byte @Nullable []> entries, Consumer<Store> action) {
  /** A put. */
  static Change put(String key, int tag, int length) {
    byte[] value = value(key, tag, length);
    return new Change(Map.of(key, value), store -> store.put(Contents.bytes(key), value));
  }

  /** A remove. */
  static Change remove(String key) {
    Map<String, byte @Nullable []> entries = new HashMap<>();
    entries.put(key, null);
    return new Change(entries, store -> store.remove(Contents.bytes(key)));
  }

  /** Several of them as one. */
  static Change batch(Change... parts) {
    Map<String, byte @Nullable []> entries = new HashMap<>();
    WriteBatch batch = new WriteBatch();
    for (Change part : parts) {
      part.entries.forEach((key, value) -> {
        entries.put(key, value);
        if (value == null) {
          batch.remove(Contents.bytes(key));
        } else {
          batch.put(Contents.bytes(key), value);
        }
      });
    }
    return new Change(entries, store -> store.write(batch));
  }

  void applyTo(Store store) {
    action.accept(store);
  }

  /** A value that tells by each of its bytes whose it is. */
  private static byte[] value(String key, int tag, int length) {
    byte[] bytes = new byte[length];
    int seed = key.hashCode() * 31 + tag;
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) (seed * 17 + i * 7 + (i >>> 8) * 3 + (seed >>> (i & 15)));
    }
    return bytes;
  }
}
