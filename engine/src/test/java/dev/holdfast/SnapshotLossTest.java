package dev.holdfast;

import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.health.StoreState;
import java.nio.file.Path;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A snapshot outlives the loss of a leg; what was lost it says, and shows nothing older for it. */
final class SnapshotLossTest {
  private static final int KEYS = 1_000;
  private static final int LARGE = 12 * PAGE;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  private static void fill(Store store, int round) {
    for (int i = 0; i < KEYS; i++) {
      store.put(key(i), of(i, round));
    }
  }

  private static byte[] of(int i, int round) {
    return value(i + round * 7, i % 100 == 0 ? LARGE : 150 + i % 50);
  }

  private static void assertShows(Snapshot snapshot, int round) {
    for (int i = 0; i < KEYS; i++) {
      assertArrayEquals(of(i, round), snapshot.get(key(i)), "key " + i);
    }
    assertEquals(KEYS, walk(snapshot, round, false).found);
    assertEquals(0, walk(snapshot, round, true).lost);
  }

  private record Walk(int found, int lost) {}

  /** Whatever a walk shows is right; how much that was, and how often it said that some is lost. */
  private static Walk walk(Snapshot snapshot, int round, boolean reverse) {
    int found = 0;
    int lost = 0;
    try (Cursor cursor =
        reverse ? snapshot.reverseCursor(KeyRange.all()) : snapshot.cursor(KeyRange.all())) {
      while (true) {
        try {
          if (!cursor.next()) {
            return new Walk(found, lost);
          }
          byte[] key = cursor.key();
          int number =
              Integer.parseInt(new String(key, 4, 6, java.nio.charset.StandardCharsets.US_ASCII));
          assertArrayEquals(of(number, round), cursor.value(), "key " + number);
          found++;
        } catch (DataLostException e) {
          lost++;
        }
      }
    }
  }

  @Test
  void readsOnFromTheLegThatIsLeft() {
    for (int lost = 0; lost < 2; lost++) {
      try (Store store = Store.builder(directory.resolve("s" + lost)).open()) {
        fill(store, 0);
        try (Snapshot first = store.snapshot()) {
          fill(store, 1);
          try (Snapshot second = store.snapshot();
              Cursor cursor = first.cursor(KeyRange.all())) {
            fill(store, 2);
            assertTrue(cursor.next());
            leg(store, lost).faults().remove();
            assertShows(first, 0);
            assertShows(second, 1);
            assertEquals(StoreState.DEGRADED, store.health().state());
            fill(store, 3);
            assertShows(first, 0);
            assertShows(second, 1);
            leg(store, lost).faults().reinsert();
            awaitState(store, StoreState.ONLINE);
            int seen = 1;
            while (cursor.next()) {
              seen++;
            }
            assertEquals(KEYS, seen);
            // What it reads is on the leg that came back, too.
            leg(store, 1 - lost).faults().remove();
            assertShows(first, 0);
            assertShows(second, 1);
          }
        }
      }
    }
  }

  @Test
  void poisonOfOneLegTakesNothingFromIt() {
    try (Store store = store().open()) {
      fill(store, 0);
      try (Snapshot snapshot = store.snapshot()) {
        fill(store, 1);
        for (int i = 0; i < KEYS; i += 150) {
          long page = recordOf(store, key(i)).offset() / PAGE * PAGE;
          leg(store, i / 150 % 2).faults().poison(page, PAGE);
        }
        assertShows(snapshot, 0);
        awaitRepaired(store);
        assertShows(snapshot, 0);
        fill(store, 2);
        assertShows(snapshot, 0);
      }
    }
  }

  /** Its large values are repaired although no key has them any more. */
  @Test
  void aFormerLargeValueIsRepairedOnItsLeg() {
    try (Store store = store().open()) {
      fill(store, 0);
      long place = recordOf(store, key(500)).offset();
      try (Snapshot snapshot = store.snapshot()) {
        store.put(key(500), value(1, LARGE));
        for (StoreExtent extent : store.owners(place, PAGE)) {
          assertNotNull(extent);
        }
        assertArrayEquals(of(500, 0), snapshot.get(key(500)));
        fill(store, 1);
        leg(store, 0).faults().remove();
        assertArrayEquals(of(500, 0), snapshot.get(key(500)));
      }
    }
  }

  /** On one leg poison takes old versions, which no index leads to: nobody knows which. */
  @Test
  void whatWasLostIsSaidAndNothingElseIsShownForIt() {
    try (Store store = store().single().open()) {
      fill(store, 0);
      try (Snapshot first = store.snapshot()) {
        fill(store, 1);
        try (Snapshot second = store.snapshot()) {
          fill(store, 2);
          long page = recordOf(store, key(501)).offset() / PAGE * PAGE;
          leg(store, 0).faults().poison(page, 2L * PAGE);
          int lostOfFirst = assertRightOrLost(first, 0);
          int lostOfSecond = assertRightOrLost(second, 1);
          assertTrue(lostOfFirst > 0 && lostOfSecond > 0);
          assertTrue(lostOfFirst < KEYS / 2, "a few leaves at most, were " + lostOfFirst);
          awaitRepaired(store);
          assertRightOrLost(first, 0);
          // What is lost heals; not for who looks at the time before.
          try (Snapshot third = store.snapshot()) {
            Set<byte[]> lost = TestStores.lostKeys(store, KEYS);
            assertFalse(lost.isEmpty());
            fill(store, 3);
            for (byte[] key : lost) {
              assertThrows(DataLostException.class, () -> third.get(key));
              assertThrows(DataLostException.class, () -> third.containsKey(key));
            }
            for (int i = 0; i < KEYS; i++) {
              if (!lost.contains(key(i))) {
                assertArrayEquals(of(i, 2), third.get(key(i)), "key " + i);
              }
            }
            Walk walk = walk(third, 2, false);
            assertEquals(KEYS - lost.size(), walk.found);
            assertTrue(walk.lost > 0);
            assertEquals(walk.found, walk(third, 2, true).found);
          }
          assertRightOrLost(first, 0);
          assertRightOrLost(second, 1);
          try (Snapshot healed = store.snapshot()) {
            fill(store, 4);
            assertShows(healed, 3);
          }
        }
      }
      for (int i = 0; i < KEYS; i++) {
        assertArrayEquals(of(i, 4), store.get(key(i)));
      }
    }
  }

  private static int assertRightOrLost(Snapshot snapshot, int round) {
    int lost = 0;
    for (int i = 0; i < KEYS; i++) {
      try {
        assertArrayEquals(of(i, round), snapshot.get(key(i)), "key " + i);
      } catch (DataLostException e) {
        lost++;
      }
    }
    for (boolean reverse : new boolean[] {false, true}) {
      Walk walk = walk(snapshot, round, reverse);
      assertEquals(lost > 0, walk.lost > 0);
      assertTrue(walk.found <= KEYS - lost);
    }
    return lost;
  }

  @Test
  void aFormerLargeValueThatIsLostTakesNothingElseAlong() {
    try (Store store = store().single().open()) {
      fill(store, 0);
      long place = recordOf(store, key(500)).offset();
      // The extent of the value is the longer one of the two places that are its key's.
      long extent =
          TestStores.records(store).stream()
              .filter(e -> java.util.Arrays.equals(e.key(), key(500)) && e.length() >= LARGE)
              .mapToLong(StoreExtent::offset)
              .findFirst()
              .orElse(place);
      try (Snapshot snapshot = store.snapshot()) {
        fill(store, 1);
        leg(store, 0).faults().poison(extent + 3L * PAGE, 1);
        for (int i = 0; i < KEYS; i++) {
          byte[] key = key(i);
          if (i == 500) {
            assertThrows(DataLostException.class, () -> snapshot.get(key));
          } else {
            assertArrayEquals(of(i, 0), snapshot.get(key), "key " + i);
          }
          assertArrayEquals(of(i, 1), store.get(key), "key " + i);
        }
        assertTrue(store.health().lost().isEmpty());
      }
    }
  }

  @Test
  void goesOnOnceTheOnlyDeviceIsBack() {
    try (Store store = store().single().open()) {
      fill(store, 0);
      try (Snapshot snapshot = store.snapshot()) {
        fill(store, 1);
        leg(store, 0).faults().remove();
        assertThrows(dev.holdfast.error.DeviceOfflineException.class, () -> snapshot.get(key(1)));
        leg(store, 0).faults().reinsert();
        awaitState(store, StoreState.ONLINE);
        assertShows(snapshot, 0);
        fill(store, 2);
        assertShows(snapshot, 0);
      }
    }
  }
}
