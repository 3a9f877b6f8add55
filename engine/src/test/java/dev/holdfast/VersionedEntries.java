package dev.holdfast;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;

/** Entries whose values tell how often they were written: an old one is not taken for a new one. */
final class VersionedEntries {
  private VersionedEntries() {}

  static byte[] key(int number) {
    return ("key-" + number).getBytes(US_ASCII);
  }

  static byte[] value(int number, int version) {
    return ("value-" + number + "-" + version + "-".repeat(number % 300)).getBytes(US_ASCII);
  }

  /** Writes entries of one version, beside each other. */
  static void put(Store store, int from, int to, int version) {
    for (int i = from; i < to; i++) {
      store.put(key(i), value(i, version));
    }
  }

  static void assertHolds(Store store, int from, int to, int version) {
    for (int i = from; i < to; i++) {
      assertArrayEquals(value(i, version), store.get(key(i)), "entry " + i);
    }
  }
}
