package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;

/** The short form of a record and its ordinary one stand for each other. */
final class PackedLayoutTest {
  private static final long GENERATION = 77;
  private static final int PLACE = 0x12345678;

  private final CRC32C crc = new CRC32C();

  /** A record in its ordinary form, with the sequence that the short one stands for. */
  private byte[] record(byte[] key, byte[] value, int type) {
    byte[] record = new byte[RecordLayout.MAX_RECORD];
    RecordLayout.begin(record, 0, key, key.length, value.length, GENERATION, type);
    System.arraycopy(value, 0, record, RecordLayout.inlineAt(record, 0), value.length);
    RecordLayout.seal(record, 0, crc, PLACE);
    return Arrays.copyOf(record, RecordLayout.size(record, 0));
  }

  private static byte[] bytes(Random random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  @Test
  void whatIsMadeShortIsWholeAgain() {
    Random random = new Random(5);
    for (int round = 0; round < 2_000; round++) {
      byte[] key = bytes(random, 1 + random.nextInt(round % 10 == 0 ? RecordLayout.MAX_KEY : 90));
      byte[] value = bytes(random, random.nextInt(RecordLayout.INLINE_LIMIT + 1));
      int type = random.nextBoolean() ? RecordLayout.VALUE : RecordLayout.BLOB;
      byte[] whole = record(key, value, type);
      int prefix = random.nextInt(Math.min(key.length, PackedLayout.MAX_PREFIX) + 1);
      byte[] common = Arrays.copyOf(Arrays.copyOf(key, prefix), PackedLayout.MAX_PREFIX);

      byte[] out = bytes(random, RecordLayout.MAX_RECORD + 20);
      PackedLayout.pack(whole, 0, out, 12, prefix);
      int size = PackedLayout.size(out, 12);
      assertEquals(PackedLayout.sizeOf(whole, 0, prefix), size);
      assertEquals((8 + key.length - prefix + value.length + 3) / 4 * 4, size);
      assertEquals(size, RecordLayout.sizeBy(RecordLayout.getLong(out, 12)));
      assertEquals(prefix, PackedLayout.prefix(out, 12));
      assertTrue(PackedLayout.isPlausible(out, 12, 12 + size));
      assertFalse(PackedLayout.isPlausible(out, 12, 12 + size - 1));
      assertFalse(RecordLayout.isPlausible(out, 12, out.length), "taken for the ordinary form");
      assertFalse(PackedLayout.isPacked(whole, 0));

      byte[] in = new byte[RecordLayout.MAX_RECORD];
      System.arraycopy(out, 12, in, 0, size);
      PackedLayout.unpack(in, 0, in, 0, common, GENERATION);
      assertArrayEquals(whole, Arrays.copyOf(in, whole.length), "in place");
      assertTrue(RecordLayout.isIntact(in, 0, crc, PLACE));

      PackedLayout.unpack(out, 12, in, 8, common, GENERATION + 1);
      assertFalse(RecordLayout.isIntact(in, 8, crc, PLACE), "of another generation");
      if (prefix > 0) {
        common[random.nextInt(prefix)] ^= 1;
        PackedLayout.unpack(out, 12, in, 8, common, GENERATION);
        assertFalse(RecordLayout.isIntact(in, 8, crc, PLACE), "of another leaf");
      }
    }
  }

  /** What lies there may be anything: lengths are bounded, and nothing is read beyond a record. */
  @Test
  void garbageIsBounded() {
    Random random = new Random(6);
    byte[] common = new byte[PackedLayout.MAX_PREFIX];
    byte[] to = new byte[RecordLayout.MAX_RECORD];
    int plausible = 0;
    for (int round = 0; round < 200_000; round++) {
      byte[] garbage = bytes(random, 64);
      long first = RecordLayout.getLong(garbage, 0);
      int size = RecordLayout.sizeBy(first);
      assertTrue(size >= PackedLayout.HEADER && size < 1 << 16, "size " + size);
      byte[] large = Arrays.copyOf(garbage, RecordLayout.MAX_RECORD);
      if (PackedLayout.isPlausible(large, 0, RecordLayout.MAX_RECORD)) {
        plausible++;
        assertTrue(size <= RecordLayout.MAX_RECORD);
        assertTrue(PackedLayout.prefix(large, 0) <= PackedLayout.MAX_PREFIX);
        PackedLayout.unpack(large, 0, to, 0, common, GENERATION);
        assertTrue(RecordLayout.size(to, 0) <= RecordLayout.MAX_RECORD);
      }
    }
    assertTrue(plausible > 1_000, "plausible: " + plausible);
  }
}
