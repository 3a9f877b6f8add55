package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.holdfast.Store;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * A mix of puts, overwrites and removes that grows a store, as a function of a seed: whoever knows
 * the seed and the number of an operation knows what it did.
 */
final class Workload {
  /** Each writer has keys of its own, so that the order of its operations is the order of a key. */
  static final int KEYS = 40;

  private Workload() {}

  /**
   * One operation.
   *
   * @param key what it is done to
   * @param value what is put; null for a remove
   */
  @SuppressWarnings("ArrayRecordComponent") // asked, never compared
  record Op(String key, byte @Nullable [] value) {
    void run(Store store) {
      if (value == null) {
        boolean _ = store.remove(key.getBytes(US_ASCII));
      } else {
        store.put(key.getBytes(US_ASCII), value);
      }
    }
  }

  static Op op(long seed, int writer, long number) {
    Random random = new Random(seed * 31 + writer * 1_000_003L + number * 7_919);
    String key = "writer-" + writer + "/key-" + random.nextInt(KEYS);
    if (random.nextInt(6) == 0) {
      return new Op(key, null);
    }
    int length =
        switch (random.nextInt(10)) {
          case 0 -> 0;
          case 1, 2, 3, 4, 5 -> random.nextInt(200);
          case 6, 7, 8 -> random.nextInt(8 << 10);
          default -> random.nextInt((100 << 10) + 1);
        };
    byte[] value = new byte[length];
    random.nextBytes(value);
    return new Op(key, value);
  }
}
