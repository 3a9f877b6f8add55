package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.key;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.io.ByteArrayInputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * T8: a value from a stream is there as a whole, or the one before it is, wherever power is cut.
 */
@Timeout(120)
final class T8StreamedPutTest {
  private static final int LENGTH = 600_000;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(PersistenceMode mode) {
    return Store.builder(directory).initialCapacity(4 << 20).persistence(mode);
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"FILE", "DAX"})
  void oneOfTwoValuesIsThereAndTheNewOneOnceItIsAcknowledged(PersistenceMode mode)
      throws Exception {
    byte[] former = new byte[LENGTH];
    byte[] next = new byte[LENGTH];
    new Random(1).nextBytes(former);
    new Random(2).nextBytes(next);
    int began;
    int acknowledged;
    CrashLog log;
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      try (Store store = builder(mode).open()) {
        store.put(key(1), new ByteArrayInputStream(former), LENGTH);
        began = recorder.position();
        store.put(key(1), new ByteArrayInputStream(next), LENGTH);
        acknowledged = recorder.position();
        log = recorder.log();
      }
    }
    int step = Math.max(1, (acknowledged - began) / 24);
    try (CrashPlace place = CrashPlace.of(log, directory)) {
      for (int point = acknowledged; point >= began; point -= step) {
        int number = 0;
        for (CrashImage image : log.images(point, 4, point)) {
          place.show(image);
          try (Store store = builder(mode).open()) {
            assertEquals(List.of(), store.health().lost());
            byte[] found = store.get(key(1));
            if (point == acknowledged) {
              assertArrayEquals(next, found, "image " + number);
            } else {
              String where = "point " + point + " of " + acknowledged + ", image " + number;
              assertTrue(Arrays.equals(former, found) || Arrays.equals(next, found), where);
            }
          }
          if (++number == 4) {
            break;
          }
        }
      }
    }
  }
}
