package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.device;
import static dev.holdfast.rules.Entries.extent;
import static dev.holdfast.rules.Entries.key;
import static dev.holdfast.rules.Entries.put;
import static dev.holdfast.rules.Entries.value;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.error.DataLostException;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.tree.DeviceLeaves;
import dev.holdfast.tree.DeviceLeaves.Appended;
import dev.holdfast.tree.DeviceLeaves.Leaf;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.VolumeLayout;
import java.io.ByteArrayOutputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * T2: records lie on a grid, and a checksum of their bytes, place, generation and sequence keeps
 * everything else from being taken for one; pages are zero before they become leaves.
 */
final class T2RecordsTest {
  private static final byte[] KEY = "key".getBytes(US_ASCII);
  private static final byte[] OTHER = "other".getBytes(US_ASCII);
  private static final byte[] FORMER = "former".getBytes(US_ASCII);
  private static final byte[] VALUE = "latest".getBytes(US_ASCII);

  @TempDir(factory = FastPlace.class)
  Path directory;

  private final Events events = new Events();

  private Store mirror() {
    return Store.builder(directory.resolve("s")).initialCapacity(2 << 20).listener(events).open();
  }

  private Store single() {
    return Store.builder(directory.resolve("s")).single().initialCapacity(2 << 20).open();
  }

  @Test
  void recordsBeginOnTheGridAndFollowOneAnother() {
    try (Store store = mirror()) {
      put(store, 0, 400);
      int records = 0;
      for (Leaf leaf : DeviceLeaves.on(device(store, 0))) {
        long at = 0;
        for (Appended record : leaf.records()) {
          assertEquals(0, record.offset() % DeviceLeaves.GRANULE);
          assertEquals(0, record.length() % DeviceLeaves.GRANULE);
          assertTrue(at == 0 || record.offset() == at, "a gap in front of " + record);
          at = record.offset() + record.length();
          records++;
        }
      }
      assertTrue(records >= 400);
    }
  }

  private static byte[] bytes(EmulatedDevice device, StoreExtent extent) {
    byte[] bytes = new byte[(int) extent.length()];
    device.read(extent.offset(), bytes, 0, bytes.length);
    return bytes;
  }

  /** A record that validates where it was written for does not validate anywhere else. */
  @Test
  void misdirectedWriteDoesNotValidate() {
    try (Store store = single()) {
      put(store, 0, 10);
      store.put(KEY, FORMER);
      StoreExtent old = extent(store, KEY);
      byte[] record = bytes(device(store, 0), old);
      store.put(KEY, VALUE);
      StoreExtent now = extent(store, KEY);
      assertEquals(old.length(), now.length());
      // The very record of the key, of the same leaf and generation, at a place of the same leaf.
      device(store, 0).faults().misdirectedWrite(now.offset(), record);
      assertThrows(DataLostException.class, () -> store.get(KEY));
      assertHolds(store, 0, 10);
    }
  }

  /** The write of a record, made for this place and generation, that has another sequence. */
  @Test
  void writeOfAnotherSequenceAtTheSamePlaceDoesNotValidate() {
    try (Store store = single()) {
      put(store, 0, 10);
      store.put(KEY, VALUE);
      Leaf leaf = DeviceLeaves.of(device(store, 0), KEY);
      Appended now = leaf.records().getLast();
      long secret = LegMarks.secret(device(store, 0));
      byte[] right = DeviceLeaves.record(secret, leaf, now.offset(), KEY, VALUE, now.sequence());
      assertArrayEquals(
          bytes(device(store, 0), extent(store, KEY)), right, "made as the store does");
      // A slot has a few bits of the sequence: one in 256 would pass.
      long other = now.sequence() - 1;
      while (!DeviceLeaves.areToldApart(now.sequence(), other)) {
        other--;
      }
      byte[] wrong = DeviceLeaves.record(secret, leaf, now.offset(), KEY, FORMER, other);
      device(store, 0).faults().misdirectedWrite(now.offset(), wrong);
      assertThrows(DataLostException.class, () -> store.get(KEY));
      assertThrows(DataLostException.class, () -> store.replace(KEY, FORMER, VALUE));
      store.put(KEY, VALUE);
      assertArrayEquals(VALUE, store.get(KEY));
      assertHolds(store, 0, 10);
    }
  }

  /** Pages that lead a second life, and a leg that still has the first. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void writesOfAFormerGenerationDoNotValidate(boolean crashes) throws Exception {
    Path image = directory.resolve("image");
    try (Store store = mirror()) {
      put(store, 0, 200);
      EmulatedDevice unlucky = device(store, 0);
      List<Leaf> former = DeviceLeaves.on(unlucky);
      int from = (int) VolumeLayout.RECORDS_OFFSET;
      long capacity = unlucky.capacity();
      FaultInjector.StaleRange stale = unlucky.faults().remember(from, (int) capacity - from);
      int reused = 0;
      for (int round = 0; reused < 3 && round < 200; round++) {
        put(store, 0, 200);
        reused = reused(former, DeviceLeaves.on(unlucky));
      }
      assertTrue(reused >= 3, "pages were used again: " + reused);
      stale.restore();
      if (crashes) {
        CrashImage.of(directory.resolve("s"), image);
      } else {
        assertHolds(store, 0, 200);
        assertTrue(store.health().lost().isEmpty());
      }
    }
    if (crashes) {
      try (Store store = Store.open(image)) {
        assertHolds(store, 0, 200);
        assertEquals(200, store.stats().entries());
        device(store, 1).faults().remove();
        assertHolds(store, 0, 200);
      }
    }
  }

  private static int reused(List<Leaf> former, List<Leaf> now) {
    int reused = 0;
    for (Leaf old : former) {
      for (Leaf leaf : now) {
        boolean again =
            leaf.generation() > old.generation()
                && leaf.offset() < old.offset() + old.bytes().length
                && old.offset() < leaf.offset() + leaf.bytes().length;
        reused += again ? 1 : 0;
      }
    }
    return reused;
  }

  /** The write of a record is lost on the one leg there is: what is there is zero, not old. */
  @Test
  void lostWriteIsNoticed() {
    try (Store store = single()) {
      put(store, 0, 10);
      store.put(KEY, FORMER);
      Leaf leaf = DeviceLeaves.of(device(store, 0), KEY);
      FaultInjector.StaleRange stale =
          device(store, 0).faults().remember(leaf.offset() + leaf.tail(), 128);
      store.put(KEY, VALUE);
      assertEquals(leaf.offset() + leaf.tail(), extent(store, KEY).offset());
      stale.restore();
      assertThrows(DataLostException.class, () -> store.get(KEY));
      assertHolds(store, 0, 10);
    }
  }

  /**
   * A value is made of copies of another key's record, at every offset of the grid. Its own head is
   * damaged, so that what follows is looked through granule by granule.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void bytesOfAValueThatLookLikeARecordAreNone(boolean crashes) throws Exception {
    Path image = directory.resolve("image");
    try (Store store = single()) {
      put(store, 0, 10);
      store.put(OTHER, FORMER);
      byte[] record = bytes(device(store, 0), extent(store, OTHER));
      ByteArrayOutputStream value = new ByteArrayOutputStream();
      for (int shift = 0; shift < DeviceLeaves.GRANULE; shift++) {
        value.write(record);
        value.write(0); // the next copy lies one byte further on the grid
      }
      assertTrue(value.size() < 1_400, "small enough for a leaf: " + value.size());
      store.put(KEY, value.toByteArray());
      assertTrue(store.remove(OTHER));
      put(store, 10, 12);
      long head = extent(store, KEY).offset();
      device(store, 0).faults().flipBit(head + 2, 1);
      if (crashes) {
        CrashImage.of(directory.resolve("s"), image);
      } else {
        assertThrows(DataLostException.class, () -> store.get(KEY));
        assertNull(store.get(OTHER));
        put(store, 12, 200); // written anew
        assertNull(store.get(OTHER));
      }
    }
    if (crashes) {
      try (Store store = Store.open(image)) {
        assertThrows(DataLostException.class, () -> store.get(KEY));
        assertNotAsFormerly(store);
        assertHolds(store, 10, 12); // behind the damage
      }
    }
  }

  /** Absent, or perhaps lost; never what was removed. */
  private static void assertNotAsFormerly(Store store) {
    try {
      assertNull(store.get(OTHER));
    } catch (DataLostException e) {
      // In a leaf of which something is lost nobody knows what is absent.
    }
  }

  /** Behind the records of every leaf there is nothing, whatever its pages held before. */
  @Test
  void pagesAreZeroBeforeTheyBecomeLeaves() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("pagesAreZeroBeforeTheyBecomeLeaves: -Dseed=" + seed);
    Random random = new Random(seed);
    try (Store store = mirror()) {
      byte[] noise = new byte[6_000];
      for (int i = 0; i < 1_500; i++) {
        random.nextBytes(noise);
        int length = random.nextInt(20) == 0 ? noise.length : random.nextInt(900);
        byte[] key = key(random.nextInt(150));
        if (random.nextInt(3) == 0) {
          boolean _ = store.remove(key);
        } else {
          store.put(key, Arrays.copyOf(noise, length));
        }
        if (i % 500 == 499) {
          for (int leg = 0; leg < 2; leg++) {
            assertNothingBehindTheTail(store, leg);
          }
        }
      }
    }
  }

  private static void assertNothingBehindTheTail(Store store, int leg) {
    List<StoreExtent> records = store.owners(VolumeLayout.RECORDS_OFFSET, 1L << 30);
    int looked = 0;
    for (Leaf leaf : DeviceLeaves.on(device(store, leg))) {
      long end = leaf.offset() + leaf.bytes().length;
      boolean lives =
          records.stream()
              .anyMatch(record ->
                  record.key() != null
                      && record.offset() >= leaf.offset()
                      && record.offset() < end
                      && leaf.records().stream()
                          .anyMatch(each -> each.offset() == record.offset()));
      for (int at = leaf.tail(); lives && at < leaf.bytes().length; at++) {
        assertEquals(0, leaf.bytes()[at], "leg " + leg + ", byte " + at + " of a leaf");
      }
      looked += lives ? 1 : 0;
    }
    assertTrue(looked > 0);
  }

  /** Every length of key and value around the grid, at the largest too. */
  @Test
  void recordsOfEveryLengthComeBack() {
    try (Store store = mirror()) {
      for (int length = 0; length <= 40; length++) {
        store.put(value(300 + length), new byte[length]);
        store.put(Arrays.copyOf(KEY, 4 + length), new byte[1_530 - length % 20]);
      }
      store.put(new byte[Store.MAX_KEY_LENGTH], new byte[1_536]);
      for (int length = 0; length <= 40; length++) {
        assertArrayEquals(new byte[length], store.get(value(300 + length)));
        assertArrayEquals(new byte[1_530 - length % 20], store.get(Arrays.copyOf(KEY, 4 + length)));
      }
      assertArrayEquals(new byte[1_536], store.get(new byte[Store.MAX_KEY_LENGTH]));
    }
  }
}
