package dev.holdfast.volume;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.FormatVersionException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.health.RangeOrigin;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What the superblock says is what was written, or a typed error. */
final class SuperblockTest {
  private static final VolumeConfig FULL =
      Configs.mirror()
          .withMark(1, LegMark.NOT_IN_SYNC)
          .withSummary(new VolumeConfig.Summary(17, -18))
          .withBad(List.of(new LegRange(0, 4096, 8192), new LegRange(1, 1 << 20, 4096)))
          .withLosses(Configs.losses(5, 33))
          .withHistory(
              RangeHistory.NONE
                  .found(Configs.mirror().devices().get(0), 4096, 8192, RangeOrigin.ACCESS, 10)
                  .found(Configs.mirror().devices().get(1), 1 << 20, 4096, RangeOrigin.SCRUB, 20)
                  .cleared(Configs.mirror().devices().get(1), 1 << 20, 4096, 30));

  private static Superblock decode(byte[] bytes) {
    return Superblock.decode(bytes, "leg");
  }

  @Test
  void whatIsWrittenIsRead() {
    Superblock written = new Superblock(1, FULL);
    assertEquals(written, decode(written.encode()));
    Superblock plain = new Superblock(0, Configs.mirror());
    assertEquals(plain, decode(plain.encode()));
    byte[] padded = Arrays.copyOf(written.encode(), VolumeLayout.SUPERBLOCK_SIZE);
    assertEquals(written, decode(padded));
  }

  /** Who does not know of it keeps its bit and does not write it. */
  @Test
  void whatIsOnRecordOfBadRangesMayBeLeftOut() {
    byte[] without = new Superblock(0, FULL.withHistory(RangeHistory.NONE)).encode();
    without[20] |= 1;
    Superblock.seal(without);
    assertEquals(RangeHistory.NONE, decode(without).config().history());
    byte[] with = new Superblock(0, FULL).encode();
    with[20] &= ~1;
    Superblock.seal(with);
    assertEquals(
        FULL.withHistory(RangeHistory.NONE), decode(with).config(), "whose bit is not set");
  }

  /** Both copies fit their places, whatever is to be said. */
  @Test
  void nothingMakesItLargerThanItsPlace() {
    RangeHistory history = RangeHistory.NONE;
    for (int i = 0; i < RangeHistory.MOST; i++) {
      history =
          history.found(Configs.mirror().devices().get(0), 8192L * i, 4096, RangeOrigin.ACCESS, i);
    }
    List<LegRange> bad = new ArrayList<>();
    for (int i = 0; i < 4_096; i++) {
      bad.add(new LegRange(i % 2, 8192L * i, 4096));
    }
    VolumeConfig most =
        FULL.withBad(bad).withLosses(Configs.losses(36, 4_000)).withHistory(history);
    byte[] bytes = new Superblock(0, most).encode();
    assertTrue(bytes.length <= VolumeLayout.SUPERBLOCK_SIZE, "was " + bytes.length);
    assertEquals(36, decode(bytes).config().losses().size());
  }

  @Test
  void everyFlippedBitIsATypedError() {
    byte[] good = new Superblock(1, FULL).encode();
    for (int bit = 0; bit < good.length * Byte.SIZE; bit++) {
      byte[] bad = good.clone();
      bad[bit / Byte.SIZE] ^= (byte) (1 << (bit % Byte.SIZE));
      assertThrows(dev.holdfast.error.HoldfastException.class, () -> decode(bad), "bit " + bit);
    }
  }

  @Test
  void everyTruncationIsATypedError() {
    byte[] good = new Superblock(1, FULL).encode();
    for (int length = 0; length < good.length; length++) {
      byte[] cut = Arrays.copyOf(good, length);
      assertThrows(InvalidImageException.class, () -> decode(cut), "length " + length);
    }
  }

  @Test
  void anotherVersionIsAnErrorOfItsOwn() {
    byte[] other = new Superblock(0, FULL).encode();
    other[8]++;
    assertThrows(InvalidImageException.class, () -> decode(other), "a flipped bit is no version");
    Superblock.seal(other);
    assertThrows(FormatVersionException.class, () -> decode(other));
  }

  @Test
  void anUnknownIncompatibleFeatureIsNamed() {
    for (int bit = 3; bit < Long.SIZE; bit++) {
      byte[] other = new Superblock(0, FULL).encode();
      other[28 + bit / Byte.SIZE] |= (byte) (1 << bit % Byte.SIZE);
      Superblock.seal(other);
      String message =
          String.valueOf(
              assertThrows(FormatVersionException.class, () -> decode(other)).getMessage());
      assertTrue(message.contains(" bit " + bit + " "), message);
    }
  }

  /** A reader that does not know of the other volume would miss what is in it. */
  @Test
  void theLogOfItsOwnIsAnIncompatibleFeatureAndOnlyThere() {
    for (boolean isLog : new boolean[] {false, true}) {
      VolumeConfig.LogLink link = new VolumeConfig.LogLink(isLog, new java.util.UUID(3, 4));
      byte[] bytes = new Superblock(1, FULL.withLog(link)).encode();
      assertEquals(1, bytes[28], "incompatible features");
      assertEquals(FULL.withLog(link), decode(bytes).config());
      assertArrayEquals(
          new Superblock(1, FULL).encode(),
          new Superblock(1, decode(bytes).config().withLog(null)).encode());
      for (int length = 0; length < bytes.length; length++) {
        byte[] cut = Arrays.copyOf(bytes, length);
        assertThrows(InvalidImageException.class, () -> decode(cut), "length " + length);
      }
    }
    assertEquals(0, new Superblock(1, FULL).encode()[28], "incompatible features");
  }

  /** Who does not know of the BULK volume would not find what lies there, and free it. */
  @Test
  void theBulkVolumeIsAnIncompatibleFeature() {
    java.util.UUID bulk = new java.util.UUID(5, 6);
    VolumeConfig.LogLink link = new VolumeConfig.LogLink(false, new java.util.UUID(3, 4));
    for (VolumeConfig config : List.of(FULL.withBulk(bulk), FULL.withLog(link).withBulk(bulk))) {
      byte[] bytes = new Superblock(1, config).encode();
      assertEquals(4, bytes[28] & 4, "feature 2");
      assertEquals(config, decode(bytes).config());
    }
    assertEquals(0, new Superblock(1, FULL).encode()[28] & 4);
  }

  /** Who does not know of maps would take all keys for those of one. */
  @Test
  void namedMapsAreAnIncompatibleFeatureAndOnlyThere() {
    byte[] bytes = new Superblock(1, FULL.withMaps()).encode();
    assertEquals(2, bytes[28], "incompatible features");
    assertEquals(FULL.withMaps(), decode(bytes).config());
    assertTrue(!FULL.maps() && decode(bytes).config().maps());
  }

  @Test
  void anUnknownCompatibleFeatureIsKept() {
    for (int bit = 0; bit < Long.SIZE; bit++) {
      byte[] other = new Superblock(0, FULL.withHistory(RangeHistory.NONE)).encode();
      other[20 + bit / Byte.SIZE] |= (byte) (1 << bit % Byte.SIZE);
      Superblock.seal(other);
      VolumeConfig read = decode(other).config();
      assertEquals(1L << bit, read.compatible());
      assertArrayEquals(other, new Superblock(0, read.withSequence(read.sequence())).encode());
    }
  }

  /** Whoever knows the checksum can write anything: still nothing but a typed error. */
  @Test
  void hostileFieldsAreATypedError() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("hostileFieldsAreATypedError: -Dseed=" + seed);
    Random random = new Random(seed);
    byte[] good = new Superblock(1, FULL).encode();
    int refused = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] bad = good.clone();
      int at = 20 + random.nextInt(bad.length - 20);
      bad[at] = (byte) random.nextInt();
      java.util.zip.CRC32C crc = new java.util.zip.CRC32C();
      crc.update(bad, 0, 16);
      crc.update(bad, 20, bad.length - 20);
      java.nio.ByteBuffer.wrap(bad)
          .order(java.nio.ByteOrder.LITTLE_ENDIAN)
          .putInt(16, (int) crc.getValue());
      try {
        Superblock _ = decode(bad);
      } catch (InvalidImageException | FormatVersionException e) {
        refused++;
      }
    }
    assertTrue(refused > 0);
  }

  @Test
  void whatDoesNotFitIsSaidMoreCoarselyAndNeverLess() {
    List<LegRange> bad = new ArrayList<>();
    for (int i = 0; i < 5_000; i++) {
      bad.add(new LegRange(i % 2, 8192L * i, 4096));
    }
    VolumeConfig read =
        decode(
                new Superblock(0, FULL.withBad(bad).withLosses(Configs.losses(1_000, 4_096)))
                    .encode())
            .config();
    for (LegRange range : bad) {
      assertTrue(
          read.bad().stream()
              .anyMatch(r ->
                  r.leg() == range.leg()
                      && r.offset() <= range.offset()
                      && r.end() >= range.end()));
    }
    assertEquals(1, read.losses().size());
    LossRecord all = read.losses().get(0);
    assertNull(all.key(), "stands for every key");
    assertEquals(0, all.offset());
    assertEquals(4096L * 1_000, all.length());
    assertEquals(999, all.watermark());
  }
}
