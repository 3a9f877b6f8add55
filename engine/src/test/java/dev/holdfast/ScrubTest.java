package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.assertLost;
import static dev.holdfast.TestStores.awaitRepaired;
import static dev.holdfast.TestStores.crashImage;
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
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.ScrubFault;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Subject;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a scrub finds, what becomes of it, and what it leaves alone. */
final class ScrubTest {
  private static final int KEYS = 400;
  private static final byte[] LARGE = key(900_001);
  private static final byte[] LARGE_VALUE = value(11, 30_000);
  private static final int LOG = (int) VolumeLayout.LOG_TABLE_OFFSET;
  private static final int UNIT = 64;

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20).scrubEvery(Duration.ZERO);
  }

  private static void fillAll(Store store) {
    fill(store, 0, KEYS);
    store.put(LARGE, LARGE_VALUE);
    store.write(new WriteBatch().put(key(900_002), value(2)).put(key(900_003), value(3)));
  }

  private static void assertHoldsAll(Store store) {
    assertHolds(store, 0, KEYS);
    assertArrayEquals(LARGE_VALUE, store.get(LARGE));
    assertArrayEquals(value(2), store.get(key(900_002)));
  }

  private static byte[] bytesOf(EmulatedDevice device, long offset, int length) {
    byte[] bytes = new byte[length];
    device.read(offset, bytes, 0, length);
    return bytes;
  }

  /** All of a leg but its superblocks. */
  private static byte[] allOf(Store store, int leg) {
    int begin = (int) VolumeLayout.DIRTY_MAP_OFFSET;
    EmulatedDevice device = leg(store, leg);
    return bytesOf(device, begin, (int) device.capacity() - begin);
  }

  /** Where the first chunk of the leaf table begins. */
  private static long tableOf(Store store) {
    return store.owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
        .filter(extent -> extent.what().equals("leaf table"))
        .mapToLong(StoreExtent::offset)
        .min()
        .orElseThrow();
  }

  private static void assertFound(ScrubReport report, ScrubFault fault, long count) {
    assertEquals(Map.of(fault, count), report.faults());
    assertEquals(count, report.repaired());
    assertEquals(0, report.lostRanges());
    assertTrue(report.complete());
  }

  private static void assertNothingIsFound(Store store) {
    ScrubReport report = store.scrub();
    assertEquals(Map.of(), report.faults());
    assertEquals(0, report.repaired());
    assertEquals(0, report.lostRanges());
    assertTrue(report.complete());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void ofAStoreThatIsWellAllIsReadAndNothingFound(int legs) {
    try (Store store = (legs == 1 ? store().single() : store()).open()) {
      fillAll(store);
      ScrubReport report = store.scrub();
      assertEquals(Map.of(), report.faults());
      assertTrue(report.complete());
      assertTrue(report.records() >= KEYS + 3, report::toString);
      assertEquals(legs, report.legs().size());
      for (ScrubReport.Leg leg : report.legs()) {
        assertTrue(leg.bytesRead() > 100_000 + LARGE_VALUE.length, report::toString);
      }
      assertEquals(report, store.stats().scrub().last());
      assertNotNull(store.stats().scrub().completed());
      assertHoldsAll(store);
    }
  }

  @Test
  void packedLeavesAreWell() {
    try (Store store = store().open()) {
      fillAll(store);
      CompactionProgress _ = store.compact();
      assertNothingIsFound(store);
      fill(store, 0, 20); // Ordinary records behind the short ones.
      assertNothingIsFound(store);
      StoreExtent record = recordOf(store, key(200));
      leg(store, 0).faults().flipBit(record.offset() + 9, 3);
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 1);
      assertHoldsAll(store);
    }
  }

  // ---------------------------------------------------------------- what is repaired

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void eachRottenBitOfARecordIsRepairedFromTheOtherLeg(int rotten) {
    Queue<HealthEvent> events = new ConcurrentLinkedQueue<>();
    try (Store store = store().listener(events::add).open()) {
      fillAll(store);
      StoreExtent record = recordOf(store, key(7));
      byte[] before = allOf(store, 1 - rotten);
      for (int at = 0; at < record.length(); at += 3) {
        leg(store, rotten).faults().flipBit(record.offset() + at, at % 8);
        ScrubReport report = store.scrub();
        if (store.health().state() != StoreState.ONLINE) {
          break;
        }
        assertFound(report, ScrubFault.WRONG_BYTES, 1);
        assertArrayEquals(before, allOf(store, 1 - rotten), "byte " + at);
        assertArrayEquals(before, allOf(store, rotten), "byte " + at);
      }
      await()
          .until(() ->
              events.stream().anyMatch(e -> e.kind() == HealthEvent.Kind.RANGE_REPAIRED)
                  && events.stream().anyMatch(e -> e.kind() == HealthEvent.Kind.SCRUB_ENDED));
      assertHoldsAll(store);
    }
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "1, 4", "0, 9", "1, 30", "0, 41"})
  void theHeadOfALeafIsRepaired(int rotten, int at) {
    try (Store store = store().open()) {
      fillAll(store);
      long leaf =
          recordOf(store, key(0)).offset() / TestStores.PAGE * TestStores.PAGE; // The first one.
      byte[] before = allOf(store, 1 - rotten);
      leg(store, rotten).faults().flipBit(leaf + at, 1);
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 1);
      assertArrayEquals(before, allOf(store, rotten));
      assertArrayEquals(before, allOf(store, 1 - rotten));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aLargeValueIsRepaired(int rotten) {
    try (Store store = store().open()) {
      fillAll(store);
      StoreExtent extent = largeValueOf(store, LARGE);
      byte[] before = allOf(store, 1 - rotten);
      leg(store, rotten).faults().flipBit(extent.offset() + 12_345, 6);
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 1);
      assertArrayEquals(before, allOf(store, rotten));
      assertArrayEquals(before, allOf(store, 1 - rotten));
    }
  }

  /** Each copy, on each leg, all over the rows that are there and behind them. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void theLeafTableIsRepaired(int legs) {
    try (Store store = (legs == 1 ? store().single() : store()).open()) {
      fillAll(store);
      long table = tableOf(store);
      byte[] before = allOf(store, 0);
      int chunk = 1 << 16;
      int copy = 0;
      // The head, rows, and units that nobody has.
      for (int at = 0; at < 10 * UNIT; at += 7) {
        int leg = at % legs;
        leg(store, leg).faults().flipBit(table + (long) copy * chunk + at, at % 8);
        ScrubReport report = store.scrub();
        assertEquals(1, report.allFaults(), "byte " + at + ": " + report);
        assertEquals(1, report.repaired(), "byte " + at + ": " + report);
        if (store.health().state() != StoreState.ONLINE) {
          return; // Too many errors in no time: the leg is given up.
        }
        for (int each = 0; each < legs; each++) {
          assertArrayEquals(before, allOf(store, each), "byte " + at);
        }
        copy = 1 - copy;
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "524288, 0", // The first byte of the dirty map has no checksum: see below.
    "655360, 1",
    "655365, 1",
    "655400, 1",
    "819200, 1",
    "819300, 1", // the root, both copies
    "983040, 1",
    "983050, 1",
    "1044480, 1",
    "1044488, 1" // the heads of the log
  })
  void whatFindsAllElseIsRepaired(long at, int found) {
    try (Store store = store().open()) {
      fillAll(store);
      for (int leg = 0; leg < 2 && found > 0; leg++) {
        byte[] before = allOf(store, 1 - leg);
        leg(store, leg).faults().flipBit(at, 5);
        assertFound(store.scrub(), ScrubFault.WRONG_BYTES, found);
        assertArrayEquals(before, allOf(store, leg));
        assertArrayEquals(before, allOf(store, 1 - leg));
      }
    }
  }

  /** The slot of a batch that is settled never counts again; all the same both legs have it. */
  @Test
  void aSlotOfTheLogIsRepaired() {
    try (Store store = store().open()) {
      fillAll(store);
      byte[] before = allOf(store, 0);
      leg(store, 1).faults().flipBit(LOG + 4096 + 60, 2);
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 1);
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0, 1", "1, 0", "1, 1"})
  void aSuperblockIsRepaired(int leg, int copy) {
    try (Store store = store().open()) {
      fillAll(store);
      long at = (long) copy * VolumeLayout.SUPERBLOCK_SIZE;
      byte[] before = bytesOf(leg(store, leg), at, 400);
      leg(store, leg).faults().flipBit(at + 50, 2);
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 1);
      assertArrayEquals(before, bytesOf(leg(store, leg), at, 400));
    }
  }

  // ---------------------------------------------------------------- kinds

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aLostWriteIsFound(int loser) {
    try (Store store = store().open()) {
      fillAll(store);
      int length = (int) (leg(store, 0).capacity() - (1 << 20));
      FaultInjector.StaleRange stale = leg(store, loser).faults().remember(1 << 20, length);
      store.put(key(3), value(4));
      byte[] before = allOf(store, 0);
      stale.restore();
      assertFound(store.scrub(), ScrubFault.LOST_WRITE, 1);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
      assertArrayEquals(value(4), store.get(key(3)));
    }
  }

  /**
   * The leg has the leaf that lay there before: another one, of other keys, and all of it valid.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aWholeLeafThatWasNotWrittenIsFound(int loser) {
    try (Store store = store().open()) {
      fillAll(store);
      FaultInjector.StaleRange stale =
          leg(store, loser)
              .faults()
              .remember(1 << 20, (int) (leg(store, 0).capacity() - (1 << 20)));
      fill(store, KEYS, 3 * KEYS); // Splits.
      stale.restore();
      ScrubReport report = store.scrub();
      assertTrue(report.allFaults() > 0);
      assertEquals(report.allFaults(), report.repaired(), report::toString);
      assertNothingIsFound(store);
      leg(store, 1 - loser).faults().remove();
      assertHolds(store, 0, 3 * KEYS);
      assertArrayEquals(LARGE_VALUE, store.get(LARGE));
    }
  }

  /**
   * A record that validates, of an earlier life of the store, lies where a newer one should be:
   * both belong to the place, and the newer one counts, whichever leg has it.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void ofTwoRecordsThatValidateTheOlderOneIsFound(int loser) {
    Path image = directory.resolve("image");
    byte[] older;
    StoreExtent place;
    try (Store store = store().open()) {
      fillAll(store);
      crashImage(directory.resolve("s"), image);
      store.put(key(KEYS - 1), value(1, 90));
      place = recordOf(store, key(KEYS - 1));
      older = bytesOf(leg(store, 0), place.offset(), (int) place.length());
    }
    try (Store store = Store.builder(image).scrubEvery(Duration.ZERO).open()) {
      store.put(key(KEYS - 1), value(2, 90));
      assertEquals(place.offset(), recordOf(store, key(KEYS - 1)).offset());
      byte[] before = allOf(store, 0);
      leg(store, loser).faults().misdirectedWrite(place.offset(), older);
      assertFound(store.scrub(), ScrubFault.LOST_WRITE, 1);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
      assertArrayEquals(value(2, 90), store.get(key(KEYS - 1)));
      // And a record that nothing leads to any more, by its sequence.
      store.put(key(KEYS - 1), value(3, 90));
      assertEquals(
          place.offset() + place.length(), recordOf(store, key(KEYS - 1)).offset(), "one leaf");
      before = allOf(store, 0);
      leg(store, loser).faults().misdirectedWrite(place.offset(), older);
      assertFound(store.scrub(), ScrubFault.LOST_WRITE, 1);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aMisdirectedWriteIsFound(int victim) {
    try (Store store = store().open()) {
      fillAll(store);
      store.put(key(1), value(1, 90));
      store.put(key(300), value(2, 90));
      StoreExtent from = recordOf(store, key(1));
      StoreExtent to = recordOf(store, key(300));
      byte[] before = allOf(store, 0);
      byte[] bytes = bytesOf(leg(store, 0), from.offset(), (int) from.length());
      leg(store, victim).faults().misdirectedWrite(to.offset(), bytes);
      assertFound(store.scrub(), ScrubFault.MISDIRECTED_WRITE, 1);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void aTornWriteIsFound(int torn) {
    try (Store store = store().open()) {
      fillAll(store);
      store.put(key(1), value(1, 90));
      StoreExtent record = recordOf(store, key(1));
      byte[] before = allOf(store, 0);
      leg(store, torn).faults().misdirectedWrite(record.offset() + 48, new byte[40]);
      assertFound(store.scrub(), ScrubFault.TORN_WRITE, 1);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void poisonThatNobodyMetIsFoundAndRepaired(int poisoned) {
    try (Store store = store().open()) {
      fillAll(store);
      leg(store, poisoned).faults().notifyNever();
      leg(store, poisoned).faults().poison(recordOf(store, key(9)).offset(), 1);
      ScrubReport report = store.scrub();
      // The health thread may have been faster.
      assertTrue(report.faults().getOrDefault(ScrubFault.POISON, 1L) == 1, report::toString);
      assertEquals(report.allFaults(), report.repaired());
      assertTrue(leg(store, poisoned).badBlocks().isEmpty());
      assertTrue(store.health().lost().isEmpty());
      assertNothingIsFound(store);
      assertHoldsAll(store);
    }
  }

  /** Nobody would meet it but whoever gets the page next: only the device knows. */
  @Test
  void poisonWhereNothingLivesIsFoundByTheListOfTheDevice() {
    int rounds = 12;
    int found = 0;
    try (Store store = store().open()) {
      fillAll(store);
      leg(store, 1).faults().notifyNever();
      for (int round = 1; round <= rounds; round++) {
        long free = leg(store, 1).capacity() - (long) round * TestStores.PAGE;
        assertEquals(List.of(), store.owners(free, TestStores.PAGE));
        leg(store, 1).faults().poison(free, 1);
        ScrubReport report = store.scrub();
        assertEquals(report.allFaults(), report.repaired(), report::toString);
        found += report.faults().containsKey(ScrubFault.POISON) ? 1 : 0;
        awaitRepaired(store);
      }
    }
    int times = found;
    // The health thread looks, too, once a second.
    assertTrue(found > rounds / 2, () -> times + " of " + rounds);
  }

  // ---------------------------------------------------------------- what is lost

  @Test
  void whatIsWrongOnASingleLegIsNamedAsLost() {
    try (Store store = store().single().open()) {
      fillAll(store);
      StoreExtent record = recordOf(store, key(7));
      StoreExtent large = largeValueOf(store, LARGE);
      leg(store, 0).faults().flipBit(record.offset() + 20, 3);
      leg(store, 0).faults().flipBit(large.offset() + 20, 3);
      ScrubReport report = store.scrub();
      assertEquals(Map.of(ScrubFault.WRONG_BYTES, 2L), report.faults());
      assertEquals(0, report.repaired());
      assertEquals(2, report.lostRanges(), report::toString);
      assertEquals(2, report.lostEntries(), report::toString);
      assertEquals(2, store.health().lost().size());
      assertLost(store, key(7));
      assertLost(store, LARGE);
      assertHolds(store, 0, 7);
      assertHolds(store, 8, KEYS);
      assertNothingIsFound(store);
      store.put(key(7), value(7));
      store.put(LARGE, LARGE_VALUE);
      assertTrue(store.health().lost().isEmpty());
      assertHoldsAll(store);
    }
  }

  @Test
  void poisonOnASingleLegIsNamedAsLost() {
    try (Store store = store().single().open()) {
      fillAll(store);
      leg(store, 0).faults().notifyNever();
      leg(store, 0).faults().poison(recordOf(store, key(9)).offset(), 1);
      ScrubReport _ = store.scrub();
      assertLost(store, key(9));
      assertTrue(leg(store, 0).badBlocks().isEmpty());
      assertNothingIsFound(store);
    }
  }

  @Test
  void differentRecordsThatAreWrongOnBothLegsAreRepaired() {
    try (Store store = store().open()) {
      fillAll(store);
      byte[] before = allOf(store, 0);
      for (int i = 0; i < 40; i++) {
        StoreExtent record = recordOf(store, key(10 * i));
        leg(store, i % 2).faults().flipBit(record.offset() + 4 + i % 16, i % 8);
      }
      assertFound(store.scrub(), ScrubFault.WRONG_BYTES, 40);
      assertArrayEquals(before, allOf(store, 0));
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @Test
  void aRecordThatIsWrongOnBothLegsIsNamedAndItsNeighboursAreRepaired() {
    try (Store store = store().open()) {
      fillAll(store);
      StoreExtent record = recordOf(store, key(7));
      leg(store, 0).faults().flipBit(record.offset() + 20, 3);
      leg(store, 1).faults().flipBit(record.offset() + 21, 3);
      leg(store, 0).faults().flipBit(recordOf(store, key(8)).offset() + 20, 3);
      leg(store, 1).faults().flipBit(recordOf(store, key(6)).offset() + 20, 3);
      ScrubReport report = store.scrub();
      assertEquals(Map.of(ScrubFault.WRONG_BYTES, 4L), report.faults());
      assertEquals(2, report.repaired());
      assertEquals(1, report.lostEntries());
      assertLost(store, key(7));
      assertHolds(store, 0, 7);
      assertHolds(store, 8, KEYS);
      assertNothingIsFound(store);
    }
  }

  /** Whatever is wrong on one leg, not a byte of the other one changes. */
  @Test
  void badIsNeverCopiedOverGood() {
    long seed = seed("badIsNeverCopiedOverGood");
    Random random = new Random(seed);
    try (Store store = store().open()) {
      fillAll(store);
      for (int round = 0; round < 8; round++) {
        int bad = round % 2;
        byte[] before = allOf(store, 0);
        int begin = (int) VolumeLayout.DIRTY_MAP_OFFSET;
        for (int i = 0; i < 200; i++) {
          // All but the dirty map, which has no checksum; also where nothing lives.
          long at = VolumeLayout.TABLE_ROOT_OFFSET;
          at += random.nextLong(leg(store, bad).capacity() - at);
          leg(store, bad).faults().flipBit(at, random.nextInt(8));
        }
        ScrubReport report = store.scrub();
        assertEquals(report.allFaults(), report.repaired(), report::toString);
        assertEquals(0, report.lostRanges());
        assertArrayEquals(before, allOf(store, 1 - bad));
        byte[] after = allOf(store, bad);
        for (StoreExtent record : TestStores.records(store)) {
          int from = (int) record.offset() - begin;
          int to = from + (int) record.length();
          if (record.what().equals("record")) {
            assertEquals(-1, Arrays.mismatch(before, from, to, after, from, to));
          }
        }
        // What lives nowhere is not looked at: as it was, for the next round.
        leg(store, bad).faults().misdirectedWrite(begin, before);
      }
      assertHoldsAll(store);
      assertNothingIsFound(store);
    }
  }

  /** Who decides that wrong bytes are to be watched, and no more, is obeyed. */
  @Test
  void aPolicyDecidesWhetherItIsRepaired() {
    FailurePolicy watches =
        (topology, subject, kind) ->
            kind == FaultKind.CHECKSUM
                ? new Verdict.Watch()
                : FailurePolicy.standard().decide(topology, subject, kind);
    try (Store store = store().policy(watches).open()) {
      fillAll(store);
      leg(store, 1).faults().flipBit(recordOf(store, key(7)).offset() + 20, 3);
      leg(store, 1).faults().flipBit(tableOf(store) + UNIT + 10, 3);
      byte[] before = allOf(store, 1);
      ScrubReport report = store.scrub();
      assertEquals(2, report.allFaults());
      assertEquals(0, report.repaired());
      assertArrayEquals(before, allOf(store, 1));
    }
  }

  @Test
  void aStoreThatIsReadOnlyIsVerifiedAndNotChanged() {
    long offset;
    try (Store store = store().open()) {
      fillAll(store);
      offset = recordOf(store, key(7)).offset();
      leg(store, 1).faults().flipBit(offset + 20, 3);
    }
    try (Store store = store().readOnly().open()) {
      byte[] before = allOf(store, 1);
      ScrubReport report = store.scrub();
      assertEquals(Map.of(ScrubFault.WRONG_BYTES, 1L), report.faults());
      assertEquals(0, report.repaired());
      assertArrayEquals(before, allOf(store, 1));
      assertHoldsAll(store);
    }
  }

  // ---------------------------------------------------------------- who decides

  /** What is right on no leg is lost, if the policy says so. */
  @ParameterizedTest
  @CsvSource({"WATCH, ONLINE, 0", "READ_ONLY, READ_ONLY, 1", "FAIL, FAILED, 0"})
  void aPolicyDecidesWhatBecomesOfWhatNoLegHas(String name, StoreState state, int lost) {
    try (Store store = store().single().policy(deciding(name, Subject.Content.VALUE)).open()) {
      fillAll(store);
      leg(store, 0).faults().flipBit(recordOf(store, key(7)).offset() + 20, 3);
      try {
        ScrubReport report = store.scrub();
        assertEquals(1, report.allFaults(), report::toString);
        assertEquals(lost, report.lostRanges(), report::toString);
      } catch (DeviceOfflineException e) {
        assertEquals(StoreState.FAILED, state, "nothing is served any more");
      }
      assertEquals(state, store.health().state());
      if (state != StoreState.FAILED) {
        assertEquals(lost, store.health().lost().size());
        assertHolds(store, 8, KEYS);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"READ_ONLY, READ_ONLY", "FAIL, FAILED"})
  void aPolicyDecidesWhatWrongMetadataCosts(String name, StoreState state) {
    try (Store store = store().policy(deciding(name, Subject.Content.METADATA)).open()) {
      fillAll(store);
      leg(store, 1).faults().flipBit(tableOf(store) + UNIT + 10, 3);
      try {
        ScrubReport report = store.scrub();
        assertEquals(1, report.allFaults(), report::toString);
        assertEquals(0, report.repaired(), report::toString);
      } catch (DeviceOfflineException e) {
        assertEquals(StoreState.FAILED, state, "nothing is served any more");
      }
      assertEquals(state, store.health().state());
    }
  }

  private static FailurePolicy deciding(String name, Subject.Content content) {
    Verdict verdict =
        switch (name) {
          case "WATCH" -> new Verdict.Watch();
          case "READ_ONLY" -> new Verdict.ReadOnly();
          default -> new Verdict.Fail();
        };
    return (topology, subject, kind) ->
        kind == FaultKind.CHECKSUM && subject.content() == content
            ? verdict
            : FailurePolicy.standard().decide(topology, subject, kind);
  }

  // ---------------------------------------------------------------- how it runs

  @Test
  void anInterruptEndsItEarlyAndStaysSet() {
    try (Store store = store().open()) {
      fillAll(store);
      Thread.currentThread().interrupt();
      ScrubReport report = store.scrub();
      assertTrue(Thread.interrupted());
      assertFalse(report.complete());
      assertNothingIsFound(store);
    }
  }

  @Test
  void twoAtOnceAreRefusedAndAClosedStoreIsNotScrubbed() {
    Store store = store().open();
    fillAll(store);
    boolean[] asked = new boolean[1];
    ScrubReport _ =
        store.scrub(_ -> {
          asked[0] = true;
          assertThrows(IllegalStateException.class, store::scrub);
        });
    assertTrue(asked[0]);
    store.close();
    assertThrows(StoreClosedException.class, store::scrub);
  }

  private StoreBuilder slow(Path path) {
    return Store.builder(path)
        .initialCapacity(4 << 20)
        .scrubEvery(Duration.ofMillis(1))
        .scrubCheckpoint(Duration.ZERO)
        .scrubRate(2 << 20);
  }

  private static long leavesDone(Store store) {
    ScrubProgress progress = store.stats().scrub().running();
    return progress == null ? 0 : progress.leavesDone();
  }

  /** What a kill leaves is a copy of the files. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void thePassInTheBackgroundGoesOnWhereItWas(boolean killed) {
    Path path = directory.resolve("s");
    long done;
    try (Store store = store().open()) {
      fill(store, 0, 4_000);
    }
    try (Store store = slow(path).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> leavesDone(store) >= 6);
      if (killed) {
        path = crashImage(path, directory.resolve("killed"));
      }
      done = leavesDone(store);
    }
    try (Store store = slow(path).scrubRate(1).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> leavesDone(store) >= 6);
      ScrubProgress progress = store.stats().scrub().running();
      assertNotNull(progress);
      // One leaf at one byte a second: it has not read those before.
      assertTrue(progress.bytesRead() < 3 * 2 * (64 << 10), progress::toString);
      assertTrue(progress.leavesDone() <= done + 3, progress::toString);
      assertNotNull(progress.remaining());
    }
    // To its end, and from the begin again.
    try (Store store = slow(path).scrubRate(1L << 40).open()) {
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> {
            ScrubReport last = store.stats().scrub().last();
            return last != null && last.complete() && last.records() >= 4_000;
          });
      assertNotNull(store.stats().scrub().completed());
    }
  }

  /** A close writes down how far it is, though that was not due yet. */
  @Test
  void whatACloseCutsOffGoesOnThoughItIsSeldomWrittenDown() {
    Path path = directory.resolve("s");
    try (Store store = store().open()) {
      fill(store, 0, 4_000);
    }
    try (Store store = slow(path).scrubCheckpoint(Duration.ofDays(1)).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> leavesDone(store) >= 6);
    }
    try (Store store = slow(path).scrubRate(1).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> leavesDone(store) >= 6);
      ScrubProgress progress = store.stats().scrub().running();
      assertNotNull(progress);
      assertTrue(progress.bytesRead() < 3 * 2 * (64 << 10), progress::toString);
    }
  }

  private static boolean isCompleted(Store store) {
    return store.stats().scrub().completed() != null;
  }

  /** That everything was read is not forgotten by a crash right behind it. */
  @Test
  void thatItCameToItsEndIsWrittenDownAtOnce() throws IOException {
    Path path = directory.resolve("s");
    Path byUser = directory.resolve("by-user");
    Path byItself = directory.resolve("by-itself");
    Duration seldom = Duration.ofDays(1);
    try (Store store = store().scrubEvery(seldom).scrubCheckpoint(seldom).open()) {
      fillAll(store);
      assertFalse(isCompleted(store));
      ScrubReport _ = store.scrub();
      assertTrue(isCompleted(store));
      crashImage(path, byUser);
    }
    try (Store store = Store.builder(byUser).open()) {
      assertTrue(isCompleted(store), "asked for by a user");
    }
    Path file = path.resolve("scrub");
    UUID id = UUID.fromString(Files.readString(file).split(" ", -1)[2]);
    new ScrubCursor(id, 1, 0, 0, null).write(file);
    try (Store store = store().scrubEvery(seldom).scrubCheckpoint(seldom).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> isCompleted(store));
      await()
          .atMost(Duration.ofSeconds(10))
          .until(() -> {
            ScrubCursor now = ScrubCursor.read(file, id);
            return now != null && now.completed() > 0;
          });
      crashImage(path, byItself);
    }
    try (Store store = Store.builder(byItself).open()) {
      assertTrue(isCompleted(store), "in the background");
    }
  }

  /** Or a store that is opened for an hour a day would never be scrubbed. */
  @Test
  void sinceWhenNothingWasScrubbedIsWrittenDown() {
    AtomicLong now = new AtomicLong(1);
    Path file = directory.resolve("s").resolve("scrub");
    StoreBuilder options = store().scrubEvery(Duration.ofDays(1));
    options.clock = now::get;
    try (Store store = options.open()) {
      fillAll(store);
      assertFalse(Files.exists(file), "not for a store that is gone in a moment");
      now.addAndGet(Duration.ofMinutes(2).toNanos());
      await().atMost(Duration.ofSeconds(30)).until(() -> Files.exists(file));
      assertHoldsAll(store);
    }
  }

  /** Whoever asked for it is told that it did not come to its end. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aCloseEndsWhatAUserAskedFor(boolean closesFirst) {
    // The close waits for the thread in the background, and that for the user's scrub.
    Store store = store().scrubEvery(closesFirst ? Duration.ZERO : Duration.ofDays(1)).open();
    for (int i = 0; i < 6_000; i++) {
      store.put(key(i), value(i, 400));
    }
    Thread closer = Thread.ofPlatform().unstarted(store::close);
    assertThrows(
        StoreClosedException.class,
        () ->
            store.scrub(_ -> {
              if (closer.getState() == Thread.State.NEW) {
                closer.start();
                await()
                    .atMost(Duration.ofSeconds(30))
                    .until(() -> closesFirst ? !closer.isAlive() : isEndingScrubs());
              }
            }));
    await().atMost(Duration.ofSeconds(30)).until(() -> !closer.isAlive());
  }

  /** By whichever thread the close works on. */
  private static boolean isEndingScrubs() {
    return Thread.getAllStackTraces().values().stream()
        .flatMap(Arrays::stream)
        .anyMatch(frame ->
            frame.getClassName().equals(Scrubbing.class.getName())
                && frame.getMethodName().equals("end"));
  }

  @Test
  void theBackgroundRepairsWhatItFinds() {
    try (Store store = store().scrubEvery(Duration.ofMillis(1)).open()) {
      fillAll(store);
      byte[] before = bytesOf(leg(store, 0), recordOf(store, key(7)).offset(), 60);
      leg(store, 0).faults().flipBit(recordOf(store, key(7)).offset() + 20, 3);
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() ->
              Arrays.equals(before, bytesOf(leg(store, 0), recordOf(store, key(7)).offset(), 60)));
    }
  }

  /** A user's scrub goes between two leaves of one that would take days. */
  @Test
  void aUserDoesNotWaitForTheBackground() {
    try (Store store = store().open()) {
      fillAll(store);
    }
    try (Store store = slow(directory.resolve("s")).scrubRate(1).open()) {
      await().atMost(Duration.ofSeconds(30)).until(() -> store.stats().scrub().running() != null);
      assertTimeoutPreemptively(Duration.ofSeconds(60), () -> assertNothingIsFound(store));
      assertNotNull(store.stats().scrub().running());
    }
  }

  @Test
  void aCloseEndsItWhereverItIs() {
    List<Thread> before = scrubbers();
    for (long rate : new long[] {1, 1 << 20, 1L << 40}) {
      Path path = directory.resolve("close-" + rate);
      try (Store store = slow(path).scrubRate(rate).open()) {
        fill(store, 0, 300);
        await()
            .atMost(Duration.ofSeconds(30))
            .until(() ->
                store.stats().scrub().running() != null || store.stats().scrub().last() != null);
      }
      List<Thread> left = scrubbers();
      left.removeAll(before);
      assertEquals(List.of(), left);
    }
  }

  private static List<Thread> scrubbers() {
    return new java.util.ArrayList<>(
        Thread.getAllStackTraces().keySet().stream()
            .filter(thread -> thread.getName().equals("holdfast-scrub") && thread.isAlive())
            .toList());
  }
}
