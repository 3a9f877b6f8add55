package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.awaitOnline;
import static dev.holdfast.rules.Entries.device;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import dev.holdfast.Store;
import dev.holdfast.StoreStats;
import dev.holdfast.WriteBatch;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * L5, L6: a leg that comes back as it was at an earlier moment, and that nobody marked: its file
 * system had died and nobody had noticed before the process did, or its file was put back from a
 * copy. Whatever was acknowledged since is on the other leg and is what counts.
 */
final class L5OldLegTest {
  private static final int ENTRIES = 3_000;
  private static final int LARGE = 20;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private PersistenceMode mode = PersistenceMode.PROCESS;

  private Path place() {
    return directory.resolve("s");
  }

  private Path old() {
    return directory.resolve("old");
  }

  private Store open(Path place) {
    return Store.builder(place)
        .persistence(mode)
        .initialCapacity(8 << 20)
        .packColdLeavesAfter(Duration.ZERO)
        .open();
  }

  private static byte[] key(int number) {
    return ("key-" + number).getBytes(US_ASCII);
  }

  private static byte[] large(int number) {
    return ("large-" + number).getBytes(US_ASCII);
  }

  private static byte[] value(int number, int version, int length) {
    byte[] value = new byte[length];
    for (int i = 0; i < length; i++) {
      value[i] = (byte) (number * 31 + version * 7 + i);
    }
    return value;
  }

  private static int length(int number, int version) {
    return 100 + (number * 37 + version * 11) % 400;
  }

  /** Writes everything anew: each sixth key is removed instead, and back in the next version. */
  private static void write(Store store, int version) {
    for (int i = 0; i < ENTRIES; i++) {
      if ((i + version) % 6 == 0) {
        boolean _ = store.remove(key(i));
      } else {
        store.put(key(i), value(i, version, length(i, version)));
      }
    }
    for (int i = 0; i < LARGE; i++) {
      store.put(large(i), value(i, version, 10_000 + i * 1_000));
    }
    WriteBatch batch = new WriteBatch();
    for (int i = 0; i < 50; i++) {
      batch.put(("batch-" + i).getBytes(US_ASCII), value(i, version, 300));
    }
    store.write(batch);
  }

  private static void assertHolds(Store store, int version, String when) {
    for (int i = 0; i < ENTRIES; i++) {
      if ((i + version) % 6 == 0) {
        assertNull(store.get(key(i)), when + ": removed entry " + i);
      } else {
        assertArrayEquals(
            value(i, version, length(i, version)), store.get(key(i)), when + ": entry " + i);
      }
    }
    for (int i = 0; i < LARGE; i++) {
      assertArrayEquals(
          value(i, version, 10_000 + i * 1_000), store.get(large(i)), when + ": large entry " + i);
    }
    for (int i = 0; i < 50; i++) {
      assertArrayEquals(
          value(i, version, 300),
          store.get(("batch-" + i).getBytes(US_ASCII)),
          when + ": entry of a batch " + i);
    }
  }

  private static void awaitClean(Store store) {
    await()
        .atMost(Duration.ofSeconds(20))
        .until(() -> {
          byte[] map = new byte[VolumeLayout.DIRTY_MAP_SIZE];
          store.devices().get(0).read(VolumeLayout.DIRTY_MAP_OFFSET, map, 0, map.length);
          return BitSet.valueOf(map).isEmpty();
        });
  }

  private void copyLeg(Path place) throws IOException {
    Files.copy(CrashImage.leg(place, 1), old(), StandardCopyOption.REPLACE_EXISTING);
  }

  /** Leg 1 is the old one now; each leg alone answers right once the store says it is whole. */
  private void assertRight(Path place, int version) throws IOException {
    Files.copy(old(), CrashImage.leg(place, 1), StandardCopyOption.REPLACE_EXISTING);
    try (Store store = open(place)) {
      assertHolds(store, version, "at once");
      awaitOnline(store);
      await().until(() -> store.stats().entriesExact());
      assertEquals(0, store.health().lost().size());
      device(store, 0).faults().remove();
      assertHolds(store, version, "from the old leg alone");
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void whatIsStillMarkedDirtyIsReconciled(PersistenceMode persistence) throws Exception {
    mode = persistence;
    try (Store store = open(place())) {
      write(store, 1);
      copyLeg(place());
      write(store, 2);
      assertRight(CrashImage.of(place(), directory.resolve("crashed")), 2);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = PersistenceMode.class,
      names = {"PROCESS", "FILE"})
  void whatTheDirtyMapForgotMeanwhileIsCopied(PersistenceMode persistence) throws Exception {
    mode = persistence;
    try (Store store = open(place())) {
      write(store, 1);
      copyLeg(place());
      write(store, 2);
      awaitClean(store);
      assertRight(CrashImage.of(place(), directory.resolve("crashed")), 2);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatAnOrderlyCloseForgotIsCopied(boolean wasClean) throws Exception {
    try (Store store = open(place())) {
      write(store, 1);
      if (wasClean) {
        awaitClean(store);
      }
      copyLeg(place());
      write(store, 2);
    }
    assertRight(place(), 2);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void whatWasWrittenSinceAnEarlierOpenIsCopied(int opens) throws Exception {
    try (Store store = open(place())) {
      write(store, 1);
    }
    copyLeg(place());
    for (int i = 1; i < opens; i++) {
      try (Store store = open(place())) {
        write(store, 1 + i);
      }
    }
    try (Store store = open(place())) {
      write(store, 1 + opens);
      awaitClean(store);
      assertRight(CrashImage.of(place(), directory.resolve("crashed")), 1 + opens);
    }
  }

  @Test
  void whatIsMarkedSinceAnEarlierOpenIsReconciled() throws Exception {
    try (Store store = open(place())) {
      write(store, 1);
    }
    copyLeg(place());
    try (Store store = open(place())) {
      write(store, 2);
      assertRight(CrashImage.of(place(), directory.resolve("crashed")), 2);
    }
  }

  /** Else each crash would cost a copy of everything. */
  @Test
  void aLegThatIsWhatItWasIsNotCopiedTo() throws Exception {
    try (Store store = open(place())) {
      write(store, 1);
      awaitClean(store);
      write(store, 2);
      copyLeg(place());
      Path crashed = CrashImage.of(place(), directory.resolve("crashed"));
      assertRight(crashed, 2);
    }
    try (Store store = open(place())) {
      assertNull(store.stats().resilver());
    }
  }

  @Test
  void aCopyOfItIsAWholeOne() throws Exception {
    try (Store store = open(place())) {
      write(store, 1);
      awaitClean(store);
      copyLeg(place());
      write(store, 2);
      awaitClean(store);
    }
    Files.copy(old(), CrashImage.leg(place(), 1), StandardCopyOption.REPLACE_EXISTING);
    try (Store store = open(place())) {
      awaitOnline(store);
      StoreStats.Resilver copy = store.stats().resilver();
      assertNotNull(copy);
      assertEquals(true, copy.whole());
    }
  }
}
