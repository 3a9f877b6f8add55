package dev.holdfast.volume;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** Configurations for tests. */
final class Configs {
  static final UUID STORE = new UUID(1, 2);
  static final long SECRET = 3;

  private Configs() {}

  /** Of two legs in sync, open, at epoch 5. */
  static VolumeConfig mirror() {
    return of(5, 50, 4, 40, LegMark.IN_SYNC, LegMark.IN_SYNC, null);
  }

  static VolumeConfig of(
      long counter,
      long id,
      long previousCounter,
      long previousId,
      LegMark first,
      LegMark second,
      VolumeConfig.@Nullable Summary summary) {
    return new VolumeConfig(
        STORE,
        SECRET,
        7,
        new Epoch(counter, id),
        new Epoch(previousCounter, previousId),
        List.of(new UUID(8, 0), new UUID(8, 1)),
        List.of(first, second),
        List.of(VolumeConfig.Departure.NONE, VolumeConfig.Departure.NONE),
        2 << 20,
        1_000,
        summary,
        true,
        0,
        List.of(),
        List.of(),
        RangeHistory.NONE);
  }

  static List<LossRecord> losses(int count, int keyLength) {
    List<LossRecord> losses = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      byte[] key = new byte[keyLength];
      key[0] = (byte) i;
      key[1] = (byte) (i >> 8);
      long[] fingerprints = i % 2 == 0 ? null : new long[] {i, -i};
      losses.add(
          i % 3 == 0
              ? LossRecord.ofKey(key, 4096L * i, 4096, i)
              : new LossRecord(new byte[] {1}, key, fingerprints, 4096L * i, 4096, i));
    }
    return Collections.unmodifiableList(losses);
  }
}
