package dev.holdfast.golden;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.holdfast.Store;
import dev.holdfast.WriteBatch;
import java.util.Arrays;
import java.util.Locale;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * What the golden images hold. Never changed for a version that was released: then the images and
 * this would no longer be of one another.
 */
final class GoldenContent {
  private static final int ENTRIES = 400;

  /** Nothing, little, around a page, the longest that lies in a record. */
  private static final int[] LENGTHS = {0, 1, 8, 100, 300, 700, 1536};

  /** Just too long for a record, and of several pages; neither is whole pages. */
  private static final int[] LARGE = {1537, 70_001};

  private GoldenContent() {}

  static byte[] key(int number) {
    return String.format(Locale.ROOT, "key-%05d", number).getBytes(US_ASCII);
  }

  /** Bytes that differ by number and by version, and compress well. */
  static byte[] value(int number, int version, int length) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) (number * 31 + version * 7 + (i >> 6) + (i & 7));
    }
    return bytes;
  }

  private static byte[] small(int number, int version) {
    return value(number, version, LENGTHS[(number + version) % LENGTHS.length]);
  }

  private static byte[] longest(byte fill) {
    byte[] key = new byte[4096];
    Arrays.fill(key, fill);
    return key;
  }

  /** A store that is being filled, and what it holds. */
  static final class Filled {
    private final Store store;
    final NavigableMap<byte[], byte[]> entries;

    Filled(Store store) {
      this.store = store;
      this.entries = new TreeMap<>(Arrays::compareUnsigned);
    }

    private void put(byte[] key, byte[] value) {
      store.put(key, value);
      entries.put(key, value);
    }

    private void remove(byte[] key) {
      boolean _ = store.remove(key);
      entries.remove(key);
    }

    private void write(Ops ops) {
      store.write(ops.batch);
      ops.applyTo(entries);
    }
  }

  /** A batch, and what it does. */
  static final class Ops {
    final WriteBatch batch = new WriteBatch();
    private final NavigableMap<byte[], byte[]> puts = new TreeMap<>(Arrays::compareUnsigned);
    private final NavigableMap<byte[], byte[]> removals = new TreeMap<>(Arrays::compareUnsigned);

    private void put(byte[] key, byte[] value) {
      batch.put(key, value);
      puts.put(key, value);
    }

    private void remove(byte[] key) {
      batch.remove(key);
      removals.put(key, key);
    }

    void applyTo(NavigableMap<byte[], byte[]> entries) {
      removals.keySet().forEach(entries::remove);
      entries.putAll(puts);
    }
  }

  /** New keys, so that leaves split; large values; keys of the shortest, the longest, any byte. */
  static void fill(Filled to) {
    for (int i = 0; i < ENTRIES; i++) {
      // Not in order, so that leaves split in the middle.
      int number = i * 149 % ENTRIES;
      to.put(key(number), small(number, 0));
    }
    for (int i = 0; i < 6; i++) {
      to.put(key(1_000 + i), value(i, 0, LARGE[i % LARGE.length]));
    }
    to.put(new byte[] {0}, value(1, 0, 3));
    to.put(new byte[] {(byte) 0xff, 0, (byte) 0x80}, value(2, 0, 5));
    to.put(longest((byte) 'a'), value(3, 0, 1536));
    to.put(longest((byte) 'z'), value(4, 0, 1537));
  }

  /** Overwrites, removals, keys that come back; large values for small ones and the reverse. */
  static void change(Filled to) {
    for (int number = 0; number < ENTRIES; number++) {
      if (number % 5 == 0) {
        to.put(key(number), small(number, 1));
      }
      if (number % 7 == 3) {
        to.remove(key(number));
      }
      if (number % 21 == 3) {
        to.put(key(number), small(number, 2));
      }
    }
    to.put(key(1_000), value(0, 1, 20_000));
    to.put(key(1_001), value(1, 1, 10));
    to.remove(key(1_002));
    to.put(key(11), value(11, 1, 9_000));
    to.write(batch(3));
  }

  /** A batch that lies in its slot of the log, or, with more of it, in extents. */
  static Ops batch(int count) {
    Ops ops = new Ops();
    for (int i = 0; i < count; i++) {
      ops.put(key(2 + 10 * i), value(i, 3, 200));
      ops.put(key(2_000 + i), value(i, 3, 50));
      ops.remove(key(6 + 10 * i));
    }
    ops.put(key(1_004), value(4, 3, 5_000));
    return ops;
  }
}
