package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a table of hashes relies on; all of it is the same on every run. */
final class KeyHashTest {
  private static final long SECRET = 0x0123456789abcdefL;

  private static long of(byte[] key) {
    return KeyHash.of(SECRET, key, 0, key.length);
  }

  /** What the cited function answers with the seed 0, for the bytes 0, 1, 2 and so on. */
  @ParameterizedTest
  @CsvSource({
    "0, 93228a4de0eec5a2",
    "1, 8e6d4af7d310c8c4",
    "3, 78c4aa0c972a522d",
    "4, e08aeeb68058fb32",
    "8, b4d6ac74d009e1d4",
    "16, 305fdea0ed4a2619",
    "17, d29ffdd201a46f9a",
    "33, 5e1a2536ff90cc32",
    "47, e2cb58f6ab8e4419",
    "48, ecbfb7ff9e3d9a97",
    "49, 0691f11bac523a91",
    "97, 2501575738d109be",
    "256, 139c96a974ad43cb"
  })
  void answersUnderNoSecretAreThoseOfItsSource(int length, String hash) {
    byte[] key = new byte[length];
    for (int i = 0; i < length; i++) {
      key[i] = (byte) i;
    }
    assertEquals(Long.parseUnsignedLong(hash, 16), KeyHash.of(0, key, 0, length));
  }

  /** A factor of 0 wipes out the other one: who has only the constants cannot make it so. */
  @Test
  void keysOfTheConstantsAreNotAlike() {
    Random random = new Random(1);
    long[] constants = {
      0, 0x2d358dccaa6c78a5L, 0x8bb84b93962eacc9L, 0x4b33a62ed433d4a3L, 0x4d5a2da51de1aa47L
    };
    for (int length : new int[] {32, 48, 64, 96, 144}) {
      for (int pair = 0; pair < length - 16; pair += 16) {
        for (long constant : constants) {
          long secret = random.nextLong();
          Set<Long> hashes = new HashSet<>();
          ByteBuffer key = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
          key.putLong(pair, constant);
          for (int i = 0; i < 1000; i++) {
            key.putLong(pair + 8, random.nextLong());
            hashes.add(KeyHash.of(secret, key.array(), 0, length));
          }
          assertEquals(1000, hashes.size(), "keys of " + length + " bytes");
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 64, 96, 100, 257})
  void eachBitOfAKeyTurnsEachBitOfItsHashAsOftenAsNot(int length) {
    Random random = new Random(length);
    int samples = 600;
    for (int bit = 0; bit < length * 8; bit += length > 64 ? 5 : 1) {
      int[] turned = new int[Long.SIZE];
      for (int s = 0; s < samples; s++) {
        byte[] key = new byte[length];
        random.nextBytes(key);
        long secret = random.nextLong();
        long before = KeyHash.of(secret, key, 0, length);
        key[bit / 8] ^= (byte) (1 << bit % 8);
        long changed = before ^ KeyHash.of(secret, key, 0, length);
        for (int out = 0; out < Long.SIZE; out++) {
          turned[out] += (int) (changed >>> out & 1);
        }
      }
      for (int out = 0; out < Long.SIZE; out++) {
        // Six standard deviations.
        double part = (double) turned[out] / samples;
        int outBit = out;
        int inBit = bit;
        assertTrue(
            Math.abs(part - 0.5) < 6 * 0.5 / Math.sqrt(samples),
            () -> "bit " + inBit + " turns bit " + outBit + " in " + part);
      }
    }
  }

  @Test
  void sequencesCollideAsRandomNumbersDo() {
    IntFunction<byte[]> bigEndian = i -> ByteBuffer.allocate(8).putLong(i).array();
    IntFunction<byte[]> littleEndian =
        i -> ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(i).array();
    IntFunction<byte[]> text = i -> ("user:" + i).getBytes(StandardCharsets.UTF_8);
    IntFunction<byte[]> longText =
        i -> ("a/path/that/many/keys/have/in/common/" + i + "/x").getBytes(StandardCharsets.UTF_8);
    IntFunction<byte[]> zeros = i -> new byte[i % 4096];
    assertFewCollisions("big endian", 1_000_000, bigEndian);
    assertFewCollisions("little endian", 1_000_000, littleEndian);
    assertFewCollisions("text", 1_000_000, text);
    assertFewCollisions("long text", 1_000_000, longText);
    assertFewCollisions("zeros", 4096, zeros);
  }

  private static void assertFewCollisions(String what, int count, IntFunction<byte[]> keys) {
    long[] high = new long[count];
    long[] low = new long[count];
    for (int i = 0; i < count; i++) {
      long hash = of(keys.apply(i));
      high[i] = hash >>> 24;
      low[i] = hash & (1L << 40) - 1;
    }
    // n * n / 2 pairs in 2^40: 0.45 of a million; with ten, one run in 10^11 would fail.
    assertTrue(collisions(high) <= 10, () -> what + ", high bits: " + collisions(high));
    assertTrue(collisions(low) <= 10, () -> what + ", low bits: " + collisions(low));
  }

  private static int collisions(long[] hashes) {
    long[] sorted = hashes.clone();
    Arrays.sort(sorted);
    int same = 0;
    for (int i = 1; i < sorted.length; i++) {
      same += sorted[i] == sorted[i - 1] ? 1 : 0;
    }
    return same;
  }

  /** The tops of hashes spread evenly: the directory of an index is full of them. */
  @Test
  void sequencesFillAllBuckets() {
    int[] buckets = new int[1024];
    for (int i = 0; i < 1024 * 1000; i++) {
      buckets[(int) (of(("k" + i).getBytes(StandardCharsets.UTF_8)) >>> 54)]++;
    }
    for (int filled : buckets) {
      assertTrue(Math.abs(filled - 1000) < 200, "in a bucket: " + filled);
    }
  }

  @Test
  void eachByteOfEachLengthCounts() {
    Random random = new Random(1);
    Set<Long> zeros = new HashSet<>();
    for (int length = 0; length <= 300; length++) {
      byte[] key = new byte[length];
      assertTrue(zeros.add(of(key)), "the length counts");
      random.nextBytes(key);
      long hash = of(key);
      for (int i = 0; i < length; i++) {
        for (int bit : new int[] {0, 7}) {
          key[i] ^= (byte) (1 << bit);
          assertNotEquals(hash, of(key), "byte " + i + " of " + length);
          key[i] ^= (byte) (1 << bit);
        }
      }
      // Nothing around it does, and an array that ends with the key is long enough.
      byte[] within = new byte[length + 3];
      random.nextBytes(within);
      System.arraycopy(key, 0, within, 3, length);
      assertEquals(hash, KeyHash.of(SECRET, within, 3, length));
      byte[] begins = Arrays.copyOf(key, length + 5);
      begins[length] = 1;
      assertEquals(hash, KeyHash.of(SECRET, begins, 0, length));
    }
  }

  @Test
  void secretsMakeOtherHashes() {
    for (int length = 0; length <= 100; length++) {
      byte[] key = new byte[length];
      Set<Long> hashes = new HashSet<>();
      for (int bit = 0; bit < Long.SIZE; bit++) {
        hashes.add(KeyHash.of(1L << bit, key, 0, length));
        hashes.add(KeyHash.of(-1L ^ 1L << bit, key, 0, length));
      }
      assertEquals(2 * Long.SIZE, hashes.size());
    }
  }

  @Test
  void rangeOutsideTheArrayIsRefused() {
    byte[] key = new byte[20];
    assertThrows(IndexOutOfBoundsException.class, () -> KeyHash.of(SECRET, key, 5, 16));
    assertThrows(IndexOutOfBoundsException.class, () -> KeyHash.of(SECRET, key, -1, 4));
    assertThrows(IndexOutOfBoundsException.class, () -> KeyHash.of(SECRET, key, 0, -1));
  }
}
