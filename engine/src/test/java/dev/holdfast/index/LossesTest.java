package dev.holdfast.index;

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

  private static LossRecord named(byte[] key, long watermark) {
    return new LossRecord(key, false, 64, 64, watermark);
  }

  private static LossRecord unnamed(long watermark) {
    return new LossRecord(null, false, 4096, 4096, watermark);
  }

  @Test
  void aWriteDropsWhatWasLostBeforeItAlone() {
    List<LossRecord> records = List.of(named(KEY, 5), named(OTHER, 5), named(KEY, 9));
    assertEquals(List.of(named(OTHER, 5), named(KEY, 9)), Losses.healed(records, KEY, false, 9));
    assertEquals(List.of(named(OTHER, 5)), Losses.healed(records, KEY, false, 10));
  }

  @Test
  void aRemovedKeyIsAbsentUntilMoreIsLost() {
    List<LossRecord> records = Losses.healed(List.of(unnamed(100)), KEY, true, 7);
    assertFalse(new Losses(records).mayHold(KEY));
    assertTrue(new Losses(records).mayHold(OTHER));
    assertTrue(new Losses(Losses.with(records, List.of(unnamed(200)))).mayHold(KEY));
  }

  @Test
  void aRemovalAnswersForTheLatestLoss() {
    List<LossRecord> records = List.of(unnamed(200), unnamed(100));
    assertFalse(new Losses(Losses.healed(records, KEY, true, 7)).mayHold(KEY));
  }
}
