package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.awaitOnline;
import static dev.holdfast.rules.Entries.device;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.StoreStats;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.volume.VolumeLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** L7, L6: to a leg that comes back goes what it missed, all of it, and not much more. */
final class L7DeltaTest {
  private static final int ENTRIES = 16_000;
  private static final long CAPACITY = 32L << 20;
  private static final long REGION = VolumeLayout.REGION_SIZE;

  /** Slow enough to look at a copy that runs. */
  private static final long SLOW = 2 * REGION;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private StoreBuilder builder(Path place) {
    return Store.builder(place)
        .initialCapacity(CAPACITY)
        .maxCapacity(CAPACITY)
        .packColdLeavesAfter(Duration.ZERO);
  }

  private StoreBuilder builder() {
    return builder(place());
  }

  private Path place() {
    return directory.resolve("s");
  }

  private static byte[] key(int number) {
    return String.format("key-%07d", number).getBytes(US_ASCII);
  }

  private static byte[] value(int number, int version) {
    byte[] value = new byte[1_000];
    byte[] text = ("value-" + number + "-" + version).getBytes(US_ASCII);
    System.arraycopy(text, 0, value, 0, text.length);
    return value;
  }

  private static void fill(Store store) {
    for (int i = 0; i < ENTRIES; i++) {
      store.put(key(i), value(i, 0));
    }
  }

  /** Entries that lie beside each other, so that few regions are written. */
  private static void change(Store store, int from, int version) {
    for (int i = from; i < from + 100; i++) {
      store.put(key(i), value(i, version));
    }
  }

  private static void assertChanged(Store store, int from, int version) {
    for (int i = from; i < from + 100; i++) {
      assertArrayEquals(value(i, version), store.get(key(i)), "entry " + i);
    }
  }

  private static void assertUnchanged(Store store, int from, int to) {
    for (int i = from; i < to; i++) {
      assertArrayEquals(value(i, 0), store.get(key(i)), "entry " + i);
    }
  }

  private static int dirtyRegions(PmemDevice device) {
    byte[] map = new byte[VolumeLayout.DIRTY_MAP_SIZE];
    device.read(VolumeLayout.DIRTY_MAP_OFFSET, map, 0, map.length);
    return BitSet.valueOf(map).cardinality();
  }

  private static void awaitClean(Store store) {
    await().atMost(Duration.ofSeconds(20)).until(() -> dirtyRegions(store.devices().get(0)) == 0);
  }

  private static StoreStats.Resilver copy(Store store) {
    StoreStats.Resilver copy = store.stats().resilver();
    assertNotNull(copy);
    return copy;
  }

  private static void awaitRunning(Store store) {
    await()
        .pollInterval(Duration.ofMillis(1))
        .until(() -> {
          StoreStats.Resilver copy = store.stats().resilver();
          return copy != null && copy.running() && copy.bytesDone() > 0;
        });
  }

  @Test
  void onlyWhatWasWrittenMeanwhileIsCopied() {
    try (Store store = builder().open()) {
      fill(store);
      awaitClean(store);
      device(store, 1).faults().remove();
      change(store, 3_000, 1);
      change(store, 9_000, 1);
      store.remove(key(5));
      long dirty = dirtyRegions(device(store, 0)) * REGION;
      assertTrue(dirty > 0 && dirty < CAPACITY / 2, dirty + " bytes are dirty");
      device(store, 1).faults().reinsert();
      awaitOnline(store);
      StoreStats.Resilver copy = copy(store);
      assertFalse(copy.whole());
      assertEquals(copy.bytesTotal(), copy.bytesDone());
      assertTrue(copy.bytesDone() <= dirty * 1.05, copy + ", dirty " + dirty);
      assertTrue(copy.bytesDone() > 0);
      device(store, 0).faults().remove();
      assertChanged(store, 3_000, 1);
      assertChanged(store, 9_000, 1);
      assertFalse(store.containsKey(key(5)));
      assertUnchanged(store, 6, 3_000);
      assertUnchanged(store, 9_100, ENTRIES);
    }
  }

  /** What was marked is remembered by a close, a crash, and by who opens without the leg. */
  @Test
  void whatWasWrittenWithoutItInSeveralLivesIsCopied() throws Exception {
    try (Store store = builder().open()) {
      fill(store);
      awaitClean(store);
      device(store, 1).faults().remove();
      change(store, 1_000, 1);
    }
    try (Store store = builder().open()) {
      change(store, 5_000, 1);
    }
    Path image = directory.resolve("image");
    try (Store store = builder().open()) {
      change(store, 9_000, 1);
      CrashImage.of(place(), image);
    }
    FaultInjector.reinsert(CrashImage.leg(image, 1));
    try (Store store = builder(image).open()) {
      awaitOnline(store);
      StoreStats.Resilver copy = copy(store);
      assertFalse(copy.whole());
      assertTrue(copy.bytesDone() < CAPACITY / 2, copy.toString());
      device(store, 0).faults().remove();
      assertChanged(store, 1_000, 1);
      assertChanged(store, 5_000, 1);
      assertChanged(store, 9_000, 1);
      assertUnchanged(store, 1_100, 5_000);
    }
  }

  /** A store in the middle of a copy to a leg that missed everything. */
  private Store copying() {
    Store store = builder().resilverRate(SLOW).open();
    device(store, 1).faults().remove();
    fill(store);
    device(store, 1).faults().reinsert();
    awaitRunning(store);
    // Only the leg itself knows then what it lacks.
    await().until(() -> dirtyRegions(device(store, 0)) < 4);
    await().until(() -> copy(store).bytesDone() > 4 * REGION);
    assertTrue(copy(store).running(), "the copy is under way");
    change(store, 0, 1);
    return store;
  }

  /** The process dies in the middle of a copy; what was copied is not copied again. */
  @Test
  void copyThatIsCutOffByACrashGoesOn() throws Exception {
    Path image = directory.resolve("image");
    long left;
    try (Store store = copying()) {
      CrashImage.of(place(), image);
      left = dirtyRegions(device(store, 1)) * REGION;
    }
    try (Store store = builder(image).open()) {
      awaitOnline(store);
      StoreStats.Resilver copy = copy(store);
      assertFalse(copy.whole());
      assertTrue(copy.bytesDone() <= left + 4 * REGION, copy + ", left " + left);
      device(store, 0).faults().remove();
      assertChanged(store, 0, 1);
      assertUnchanged(store, 100, ENTRIES);
    }
  }

  @Test
  void copyThatIsCutOffByACloseGoesOn() {
    long before;
    try (Store store = copying()) {
      before = copy(store).bytesTotal();
    }
    try (Store store = builder().open()) {
      awaitOnline(store);
      StoreStats.Resilver copy = copy(store);
      assertFalse(copy.whole());
      assertTrue(copy.bytesDone() <= before, copy + ", before " + before);
      device(store, 0).faults().remove();
      assertChanged(store, 0, 1);
      assertUnchanged(store, 100, ENTRIES);
    }
  }

  /** What is written to regions that were copied already, while the leg is away again. */
  @Test
  void legThatDiesWhileItIsCopiedToGetsWhatItMissedSince() {
    try (Store store = copying()) {
      device(store, 1).faults().remove();
      change(store, 0, 2);
      change(store, 8_000, 2);
      await().until(() -> !copy(store).running());
      device(store, 1).faults().reinsert();
      awaitOnline(store);
      assertFalse(copy(store).whole());
      device(store, 0).faults().remove();
      assertChanged(store, 0, 2);
      assertChanged(store, 8_000, 2);
      assertUnchanged(store, 100, 8_000);
      assertUnchanged(store, 8_100, ENTRIES);
    }
  }

  /** A file that was put back from a copy misses what nobody remembers. */
  @Test
  void legThatIsNotAsItWentIsCopiedToAsAWhole() throws Exception {
    Path old = directory.resolve("old");
    Path leg = CrashImage.leg(place(), 1);
    try (Store store = builder().open()) {
      fill(store);
    }
    Files.copy(leg, old);
    try (Store store = builder().open()) {
      change(store, 2_000, 1);
      awaitClean(store);
    }
    CrashImage.remove(place(), 1);
    try (Store store = builder().open()) {
      change(store, 9_000, 1);
    }
    FaultInjector.reinsert(leg);
    Files.copy(old, leg, StandardCopyOption.REPLACE_EXISTING);
    try (Store store = builder().open()) {
      awaitOnline(store);
      assertTrue(copy(store).whole());
      device(store, 0).faults().remove();
      assertChanged(store, 2_000, 1);
      assertChanged(store, 9_000, 1);
    }
  }

  /** A file that lost its end says nothing of that in its superblock. */
  @Test
  void legThatLostItsEndIsCopiedToAsAWhole() throws Exception {
    try (Store store = builder().open()) {
      fill(store);
      awaitClean(store);
    }
    try (FileChannel file =
        FileChannel.open(CrashImage.leg(place(), 1), StandardOpenOption.WRITE)) {
      file.truncate(file.size() - CAPACITY / 2);
    }
    try (Store store = builder().open()) {
      awaitOnline(store);
      assertTrue(copy(store).whole());
      device(store, 0).faults().remove();
      assertUnchanged(store, 0, ENTRIES);
    }
  }

  /** The thread that responds to faults does not wait for a copy. */
  @Test
  void pageThatIsLostWhileALegIsCopiedToIsNamedMeanwhile() {
    try (Store store = builder().resilverRate(REGION).open()) {
      device(store, 1).faults().remove();
      fill(store);
      device(store, 1).faults().reinsert();
      awaitRunning(store);
      long at = Entries.extent(store, key(ENTRIES - 1)).offset();
      device(store, 0).faults().poison(at, 1);
      await().until(() -> !store.health().lost().isEmpty());
      assertTrue(copy(store).running(), "the copy is under way");
    }
  }
}
