package dev.holdfast.tree;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.volume.LossRecord;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a write or a removal answers for is what was lost before it, and nothing else. */
final class LossesTest {
  private static final byte[] KEY = "key".getBytes(UTF_8);
  private static final byte[] OTHER = "other".getBytes(UTF_8);
  private static final long HASH = KeyHash.of(1, KEY, 0, KEY.length);
  private static final long OTHER_HASH = KeyHash.of(1, OTHER, 0, OTHER.length);

  private static LossRecord named(byte[] key, long watermark) {
    return LossRecord.ofKey(key, 64, 64, watermark);
  }

  private static LossRecord unnamed(long watermark) {
    return LossRecord.ofAnything(4096, 4096, watermark);
  }

  private static boolean mayHold(List<LossRecord> records, byte[] key, long hash) {
    return new Losses(records).mayHold(key, key.length, hash);
  }

  @Test
  void aWriteDropsWhatWasLostBeforeItAlone() {
    List<LossRecord> records = List.of(named(KEY, 5), named(OTHER, 5), named(KEY, 9));
    assertEquals(
        List.of(named(OTHER, 5), named(KEY, 9)), Losses.healed(records, KEY, KEY.length, HASH, 9));
    assertEquals(List.of(named(OTHER, 5)), Losses.healed(records, KEY, KEY.length, HASH, 10));
  }

  @Test
  void whatNobodyKnowsIsHealedByNoSingleKey() {
    List<LossRecord> records = List.of(unnamed(100));
    assertEquals(records, Losses.healed(records, KEY, KEY.length, HASH, 200));
    assertTrue(mayHold(records, KEY, HASH));
    assertTrue(mayHold(records, OTHER, OTHER_HASH));
  }

  @Test
  void aTombstoneHasToBeAboveTheLatestLossOfTheUnknown() {
    Losses losses = new Losses(List.of(unnamed(200), unnamed(100), named(KEY, 300)));
    assertEquals(200, losses.unknown(KEY, KEY.length));
    assertEquals(-1, new Losses(List.of(named(KEY, 300))).unknown(KEY, KEY.length));
    assertEquals(-1, Losses.NONE.unknown(KEY, KEY.length));
  }

  @Test
  void aRangeIsFromItsFirstKeyToTheOneBehindItsLast() {
    LossRecord range = new LossRecord(KEY, OTHER, null, 0, 64, 7);
    assertTrue(mayHold(List.of(range), KEY, HASH));
    assertTrue(mayHold(List.of(range), "kez".getBytes(UTF_8), 0));
    assertFalse(mayHold(List.of(range), OTHER, OTHER_HASH));
    assertFalse(mayHold(List.of(range), "ke".getBytes(UTF_8), 0));
    Losses losses = new Losses(List.of(range));
    assertTrue(losses.meets("a".getBytes(UTF_8), null));
    assertTrue(losses.meets("o".getBytes(UTF_8), null));
    assertFalse(losses.meets(OTHER, null));
    assertFalse(losses.meets("a".getBytes(UTF_8), KEY));
  }

  @Test
  void theSameLossIsNamedOnce() {
    List<LossRecord> records = List.of(named(KEY, 5), unnamed(9));
    assertEquals(records, Losses.with(records, List.of(named(KEY, 5), unnamed(9))));
    assertEquals(3, Losses.with(records, List.of(named(KEY, 6))).size());
  }
}
