package dev.holdfast;

import static dev.holdfast.LeaseTest.bytesOf;
import static dev.holdfast.LeaseTest.lease;
import static dev.holdfast.TestStores.PAGE;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.MappingRevokedException;
import dev.holdfast.health.StoreState;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Leases when legs go, pages are poisoned and bits flip. */
final class LeaseFaultsTest {
  private static final byte[] KEY = key(7);

  /** Whole pages, so that the pages of the volume are those of the value. */
  private static final int PAGES = 16;

  private static final int LARGE = PAGES * 4096;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  // ---------------------------------------------------------------- loss of a leg

  @ParameterizedTest
  @CsvSource({"false, 500", "true, 500", "false, 65536", "true, 65536"})
  void outlivesTheLossOfEitherLegUnnoticed(boolean told, int length) {
    byte[] expected = value(3, length);
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, expected);
      try (Lease lease = lease(store, KEY)) {
        assertArrayEquals(expected, bytesOf(lease));
        for (int round = 0; round < 6; round++) {
          int gone = round % 2;
          if (!told) {
            leg(store, gone).faults().notifyNever();
          }
          leg(store, gone).faults().remove();
          // Each way of access may be the one that meets it.
          int at = round * 4096 % length;
          assertEquals(expected[at], lease.getByte(at));
          assertArrayEquals(expected, bytesOf(lease));
          leg(store, gone).faults().notifyAfter(Duration.ZERO);
          leg(store, gone).faults().reinsert();
          store.online(gone);
          awaitState(store, StoreState.ONLINE);
          assertArrayEquals(expected, bytesOf(lease));
        }
        assertTrue(store.health().lost().isEmpty());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"false, 500", "true, 500", "false, 65536", "true, 65536"})
  void aSingleLegThatGoesRevokesUntilItIsBack(boolean told, int length) {
    byte[] expected = value(3, length);
    try (Store store = store().single().open()) {
      fill(store, 0, 50);
      store.put(KEY, expected);
      Lease former;
      try (Lease lease = lease(store, KEY)) {
        former = lease(store, KEY);
        store.put(KEY, value(4, length)); // What the lease shows is nobody's value any more.
        for (int round = 0; round < 3; round++) {
          assertArrayEquals(expected, bytesOf(lease));
          assertEquals(expected[0], lease.getByte(0)); // This piece is at hand.
          if (!told) {
            leg(store, 0).faults().notifyNever();
          }
          leg(store, 0).faults().remove();
          if (told) {
            assertOffline(() -> lease.getByte(0)); // At once, and not when it is loaded again.
          }
          assertOffline(() -> lease.copyTo(0, new byte[length], 0, length));
          assertOffline(() -> lease.getByte(0));
          assertOffline(() -> lease.getInt(1));
          assertOffline(() -> lease.getLong(100));
          assertEquals(length, lease.length());
          assertThrows(DeviceOfflineException.class, () -> store.lease(KEY));
          leg(store, 0).faults().notifyAfter(Duration.ZERO);
          leg(store, 0).faults().reinsert();
          awaitState(store, StoreState.ONLINE);
          assertArrayEquals(expected, bytesOf(lease));
          assertEquals(expected[0], lease.getByte(0));
        }
        assertArrayEquals(expected, bytesOf(former));
      }
      leg(store, 0).faults().remove();
      former.close();
      assertThrows(IllegalStateException.class, () -> former.getByte(0));
      assertEquals(0, store.health().leases().open());
    }
  }

  private static void assertOffline(org.junit.jupiter.api.function.Executable access) {
    MappingRevokedException e = assertThrows(MappingRevokedException.class, access);
    assertInstanceOf(DeviceOfflineException.class, e.getCause(), e::toString);
  }

  @Test
  void bothLegsOfAMirrorGoneRevoke() {
    try (Store store = store().open()) {
      store.put(KEY, value(3, LARGE));
      try (Lease lease = lease(store, KEY)) {
        assertEquals(value(3, LARGE)[9], lease.getByte(9));
        leg(store, 0).faults().remove();
        assertEquals(value(3, LARGE)[9], lease.getByte(9));
        leg(store, 1).faults().remove();
        assertOffline(() -> lease.getByte(9));
        assertOffline(() -> bytesOf(lease));
      }
    }
  }

  /** Nobody waits for an idle lease: not a failover, not an orderly leave, not a close. */
  @Test
  void nobodyWaitsForALease() {
    Store store = store().open();
    store.put(KEY, value(3, LARGE));
    Lease lease = lease(store, KEY);
    long start = System.nanoTime();
    store.offline(0);
    store.online(0);
    awaitState(store, StoreState.ONLINE);
    boolean done = store.compact().complete();
    assertTrue(done);
    store.close();
    long took = (System.nanoTime() - start) / 1_000_000;
    assertTrue(took < 10_000, "took " + took + " ms");
    lease.close();
  }

  // ---------------------------------------------------------------- loss of a page

  @Test
  void poisonOfAPageOnOneLegIsNotNoticed() {
    byte[] expected = value(3, LARGE);
    try (Store store = store().open()) {
      store.put(KEY, expected);
      long place = largeValueOf(store, KEY).offset();
      try (Lease lease = lease(store, KEY)) {
        for (int i = 0; i < PAGES; i++) {
          leg(store, i % 2).faults().poison(place + (long) i * PAGE, 1);
          assertEquals(expected[i * PAGE + 5], lease.getByte(i * PAGE + 5));
          assertArrayEquals(expected, bytesOf(lease));
        }
        awaitRepaired(store);
        assertArrayEquals(expected, bytesOf(lease));
        leg(store, 0).faults().remove();
        assertArrayEquals(expected, bytesOf(lease));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void poisonOfAPageOnAllLegsRevokesThatPageOnly(boolean single) {
    byte[] expected = value(3, LARGE);
    try (Store store = single ? store().single().open() : store().open()) {
      fill(store, 0, 50);
      store.put(KEY, expected);
      long place = largeValueOf(store, KEY).offset();
      try (Lease lease = lease(store, KEY)) {
        int bad = 5;
        assertEquals(expected[bad * PAGE], lease.getByte((long) bad * PAGE)); // It is at hand.
        for (int i = 0; i < store.devices().size(); i++) {
          // Else one may be repaired from the other before that is poisoned, too.
          leg(store, i).faults().failClears(1_000);
          leg(store, i).faults().poison(place + (long) bad * PAGE, 1);
        }
        for (int round = 0; round < 2; round++) {
          for (int i = 0; i < PAGES; i++) {
            int at = i * PAGE;
            if (i == bad) {
              assertLost(() -> lease.getByte(at));
              assertLost(() -> lease.getLong(at + 8));
              assertLost(() -> lease.getLong(at - 4));
            } else {
              assertEquals(expected[at], lease.getByte(at));
            }
          }
          assertLost(() -> bytesOf(lease));
          byte[] front = new byte[bad * PAGE];
          lease.copyTo(0, front, 0, front.length);
          assertArrayEquals(java.util.Arrays.copyOf(expected, front.length), front);
          // Cleared is not healed: what the page has then is zeros.
          for (int i = 0; i < store.devices().size(); i++) {
            leg(store, i).faults().failClears(0);
          }
          awaitRepaired(store);
        }
        assertThrows(DataLostException.class, () -> store.get(KEY));
        assertThrows(DataLostException.class, () -> store.lease(KEY));
        store.put(KEY, value(4, LARGE));
        assertLost(() -> lease.getByte((long) bad * PAGE));
        assertEquals(expected[0], lease.getByte(0));
        try (Lease healed = lease(store, KEY)) {
          assertArrayEquals(value(4, LARGE), bytesOf(healed));
        }
      }
    }
  }

  private static void assertLost(org.junit.jupiter.api.function.Executable access) {
    MappingRevokedException e = assertThrows(MappingRevokedException.class, access);
    assertInstanceOf(DataLostException.class, e.getCause(), e::toString);
  }

  /** A page is on one leg, the next one on the other: no leg has all of it. */
  @Test
  void piecesAreTakenFromWhereverTheyAre() {
    byte[] expected = value(3, LARGE);
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, expected);
      long place = largeValueOf(store, KEY).offset();
      leg(store, 0).faults().failClears(100);
      leg(store, 1).faults().failClears(100);
      leg(store, 0).faults().poison(place + 2L * PAGE, 1);
      leg(store, 1).faults().poison(place + 3L * PAGE, 1);
      try (Lease lease = lease(store, KEY)) {
        assertArrayEquals(expected, bytesOf(lease));
      }
      leg(store, 0).faults().failClears(0);
      leg(store, 1).faults().failClears(0);
    }
  }

  // ---------------------------------------------------------------- wrong bytes

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aFlippedBitOnOneLegIsNeverShownAndIsRepaired(int wrong) {
    Random random = new Random(seed("aFlippedBitOnOneLegIsNeverShownAndIsRepaired"));
    byte[] large = value(3, LARGE - 100);
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, large);
      long place = largeValueOf(store, KEY).offset();
      StoreExtent record = recordOf(store, key(9));
      byte[] small = value(9);
      try (Lease lease = lease(store, KEY);
          Lease inRecord = lease(store, key(9))) {
        for (int i = 0; i < 100; i++) {
          int at = random.nextInt(large.length);
          leg(store, wrong).faults().flipBit(place + at, random.nextInt(8));
          assertEquals(large[at], lease.getByte(at));
          assertArrayEquals(large, bytesOf(lease));
        }
        for (int i = 0; i < small.length; i++) {
          int at = (int) record.length() - small.length + i;
          leg(store, wrong).faults().flipBit(record.offset() + at, random.nextInt(8));
          assertArrayEquals(small, bytesOf(inRecord));
        }
        if (wrong == 0) { // It is the one that is read.
          await()
              .atMost(Duration.ofSeconds(20))
              .until(() -> {
                byte[] there = new byte[large.length];
                leg(store, 0).read(place, there, 0, there.length);
                return java.util.Arrays.equals(large, there);
              });
        }
      }
      assertTrue(store.health().lost().isEmpty());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFlippedBitOnAllLegsIsAnErrorAndNeverAWrongByte(boolean current) {
    Random random = new Random(seed("aFlippedBitOnAllLegsIsAnErrorAndNeverAWrongByte"));
    byte[] expected = value(3, LARGE);
    try (Store store = store().open()) {
      fill(store, 0, 50);
      for (int round = 0; round < 20; round++) {
        store.put(KEY, expected);
        long place = largeValueOf(store, KEY).offset();
        try (Lease lease = lease(store, KEY)) {
          if (!current) {
            store.put(KEY, value(4, 100));
          }
          int at = random.nextInt(LARGE);
          leg(store, 0).faults().flipBit(place + at, random.nextInt(8));
          leg(store, 1).faults().flipBit(place + at, random.nextInt(8));
          int begin = at / 4096 * 4096;
          assertLost(() -> lease.getByte(at));
          assertLost(() -> lease.copyTo(begin, new byte[1], 0, 1));
          for (int i = 0; i < LARGE; i += 4096) {
            if (i != begin) {
              assertEquals(expected[i], lease.getByte(i));
            }
          }
          if (current) {
            assertEquals(1, store.health().lost().size()); // Before anybody asked for the key.
            assertThrows(DataLostException.class, () -> store.get(KEY));
            assertEquals(1, store.health().lost().size());
          } else {
            assertArrayEquals(value(4, 100), store.get(KEY));
          }
        }
      }
      assertEquals(0, store.health().leases().open());
    }
  }

  /** Nobody repairs what nobody owns: telling of it each time would crowd other news out. */
  @Test
  void wrongBytesOfAFormerValueAreReadAroundInSilence() {
    byte[] large = value(3, LARGE);
    byte[] small = value(9);
    AtomicInteger events = new AtomicInteger();
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, large);
      StoreExtent record = recordOf(store, key(9));
      long place = largeValueOf(store, KEY).offset();
      try (Lease lease = lease(store, KEY);
          Lease inRecord = lease(store, key(9))) {
        store.put(KEY, value(4, 10));
        boolean done = store.compact().complete();
        assertTrue(done);
        leg(store, 0).faults().flipBit(place + 4096, 3);
        leg(store, 0).faults().flipBit(record.offset() + record.length() - small.length + 5, 3);
        store.addListener(event -> events.incrementAndGet());
        long before = store.stats().eventsLost();
        for (int i = 0; i < 5_000; i++) {
          assertEquals(large[4096], lease.getByte(4096));
          assertEquals(large[0], lease.getByte(0));
          inRecord.copyTo(5, new byte[1], 0, 1);
        }
        assertEquals(before, store.stats().eventsLost());
        assertArrayEquals(small, bytesOf(inRecord));
        assertArrayEquals(large, bytesOf(lease));
      }
      assertTrue(events.get() < 100, "events: " + events);
    }
  }

  @Test
  void aValueThatIsWrongOnOneLegWhenItIsLeasedIsTakenFromTheOther() {
    byte[] expected = value(3, LARGE);
    try (Store store = store().open()) {
      fill(store, 0, 50);
      store.put(KEY, expected);
      long place = largeValueOf(store, KEY).offset();
      leg(store, 0).faults().flipBit(place + 12_345, 3);
      try (Lease lease = lease(store, KEY)) {
        assertArrayEquals(expected, bytesOf(lease));
      }
      leg(store, 0).faults().flipBit(place + 1, 3);
      leg(store, 1).faults().flipBit(place + 12_345, 3);
      // Repair of the first one may have come first.
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> {
            leg(store, 0).faults().misdirectedWrite(place + 1, new byte[] {99});
            leg(store, 1).faults().misdirectedWrite(place + 1, new byte[] {98});
            try (Lease lease = lease(store, KEY)) {
              assertArrayEquals(expected, bytesOf(lease));
              return false;
            } catch (DataLostException e) {
              return true;
            }
          });
      assertThrows(DataLostException.class, () -> store.get(KEY));
    }
  }
}
