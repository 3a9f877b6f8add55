package dev.holdfast.rmap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MappingsTest {
  private static final long MIB = 1 << 20;
  private static final NamedHandle HANDLE = new NamedHandle(0);

  private record Pin(long token, long offset, long length, NamedHandle handle) {
    boolean touches(long from, long to) {
      return offset < to && from < offset + length;
    }

    String seen() {
      return MappingsTest.seen(offset, length, handle);
    }
  }

  /** Small tables, so that every path is taken: full buckets, chains, several tables. */
  @ParameterizedTest
  @CsvSource({"1, 2, 40", "1, 2, 2000", "2, 2, 400", "4, 64, 300", "1, 64, 6000"})
  void mappingsAgreeWithAList(int stripes, int buckets, int maxLive) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("MappingsTest: -Dseed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    MappingIndex index = new MappingIndex(stripes, buckets);
    List<Pin> live = new ArrayList<>();
    List<Long> stale = new ArrayList<>();
    long found = 0;
    for (int step = 0; step < 20_000; step++) {
      // Fills up, drains, fills up, so that free slots lie scattered.
      boolean filling = step / (2 * maxLive) % 2 == 0;
      if (random.nextInt(3) < (filling ? 2 : 1) && live.size() < maxLive) {
        long length = length(random);
        long offset = offset(random);
        NamedHandle handle = new NamedHandle(step);
        live.add(new Pin(index.pin(offset, length, handle), offset, length, handle));
      } else if (!live.isEmpty()) {
        int victim = random.nextInt(live.size());
        Pin pin = live.set(victim, live.getLast());
        live.removeLast();
        assertTrue(index.unpin(pin.token()), "seed " + seed + " step " + step);
        stale.add(pin.token());
      }
      if (!stale.isEmpty()) {
        assertFalse(index.unpin(stale.get(random.nextInt(stale.size()))), "stale, seed " + seed);
      }
      if (step % 16 == 0) {
        long from = offset(random);
        long to = from + length(random);
        List<String> expected =
            live.stream().filter(pin -> pin.touches(from, to)).map(Pin::seen).sorted().toList();
        String where = "seed " + seed + " step " + step + " [" + from + ", " + to + ")";
        assertEquals(expected, mappings(index, from, to - from), where);
        found += expected.size();
      }
    }
    assertTrue(found > 1_000, "lookups must find something to show anything: " + found);
  }

  @Test
  void pinIsFoundFromEveryByteOfItWhateverItsSize() {
    List<Long> lengths = new ArrayList<>(List.of(1L, 2L, MIB - 1, Long.MAX_VALUE / 2));
    for (int shift = 20; shift < 62; shift++) {
      lengths.addAll(List.of((1L << shift) - 1, 1L << shift, (1L << shift) + 1));
    }
    for (long length : lengths) {
      for (long offset : new long[] {0, 1, MIB - 1, MIB, 8 * MIB - 1, (1L << 40) + 77}) {
        MappingIndex index = new MappingIndex(1, 2);
        index.pin(offset, length, HANDLE);
        String what = "[" + offset + ", +" + length + ")";
        long end = offset + length;
        for (long at : new long[] {offset, offset + length / 2, end - 1}) {
          assertEquals(1, mappings(index, at, 1).size(), what + " at " + at);
        }
        assertEquals(1, mappings(index, 0, Long.MAX_VALUE).size(), what);
        assertEquals(List.of(), mappings(index, end, 1), what);
        assertEquals(List.of(), mappings(index, Math.max(0, offset - 1), offset > 0 ? 1 : 0), what);
        assertEquals(List.of(), mappings(index, offset, 0), what);
      }
    }
    MappingIndex index = new MappingIndex(1, 2);
    index.pin(0, Long.MAX_VALUE, HANDLE);
    assertEquals(1, mappings(index, Long.MAX_VALUE - 1, 1).size());
  }

  @Test
  void staleTokenDoesNotDropTheNextPinOfTheSlot() {
    ReverseMap map = new ReverseMap();
    long first = map.pin(4096, 1, HANDLE);
    assertTrue(map.unpin(first));
    NamedHandle other = new NamedHandle(1);
    long second = map.pin(4096, 1, other);
    assertEquals(slot(first), slot(second), "the case wants the same slot again");
    assertFalse(map.unpin(first));
    List<MappingHandle> found = new ArrayList<>();
    map.mappings(4096, 1, (offset, length, handle) -> found.add(handle));
    assertEquals(1, found.size());
    assertSame(other, found.getFirst());
    assertTrue(map.unpin(second));
    assertFalse(map.unpin(second));
  }

  @Test
  void tokenThatNobodyGaveOutDropsNothing() {
    ReverseMap map = new ReverseMap();
    long token = map.pin(0, 1, HANDLE);
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 100_000; i++) {
      long wrong = random.nextLong();
      assertTrue(wrong == token || !map.unpin(wrong));
    }
    for (long wrong : new long[] {-1, 0, 1, Long.MIN_VALUE, Long.MAX_VALUE, token | 1L << 63}) {
      assertTrue(wrong == token || !map.unpin(wrong), () -> "token " + wrong);
    }
    assertTrue(map.unpin(token));
  }

  @Test
  void pinNeverFailsHoweverManyCrowdOneRegion() {
    MappingIndex index = new MappingIndex(1, 2);
    int count = 200_000;
    long[] tokens = new long[count];
    for (int i = 0; i < count; i++) {
      tokens[i] = index.pin(i % 1000, 1, HANDLE);
    }
    assertEquals(5, index.tableCount(), "all tables there can be, so that only chains are left");
    assertEquals(count / 1000, mappings(index, 77, 1).size());
    assertEquals(count, mappings(index, 0, MIB).size());
    assertEquals(count, mappings(index, 0, Long.MAX_VALUE).size());
    for (long token : tokens) {
      assertTrue(index.unpin(token));
    }
    assertEquals(List.of(), mappings(index, 0, Long.MAX_VALUE));
  }

  @Test
  void freedSlotsAreUsedAgain() {
    SplittableRandom random = new SplittableRandom(7);
    MappingIndex index = new MappingIndex(1, 2);
    int live = 10_000;
    long[] tokens = new long[live];
    for (int i = 0; i < live; i++) {
      tokens[i] = index.pin(0, 1, HANDLE);
    }
    for (int i = 0; i < 20 * live; i++) {
      int victim = random.nextInt(live);
      assertTrue(index.unpin(tokens[victim]));
      tokens[victim] = index.pin(0, 1, HANDLE);
    }
    assertEquals(live, mappings(index, 0, 1).size());
    assertTrue(
        index.slotCount() < 12 * live,
        () -> "slots for " + live + " pins at once: " + index.slotCount());
  }

  @Test
  void freeSlotsBehindARunOfLongLivedPinsAreFound() {
    SlotSegment segment = new SlotDirectory().newSegment(SlotDirectory.GRANULE);
    long[] tokens = new long[segment.slots()];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = segment.claimAny(0, 1, HANDLE);
    }
    assertEquals(SlotSegment.NONE, segment.claimAny(0, 1, HANDLE));
    segment.release(tokens[tokens.length - 1]);
    boolean found = false;
    for (int tries = 0; tries < segment.slots(); tries++) {
      found |= segment.claimAny(0, 1, HANDLE) != SlotSegment.NONE;
    }
    assertTrue(found);
  }

  @Test
  void droppedPinKeepsItsHandleNotAlive() {
    ReverseMap map = new ReverseMap();
    WeakReference<NamedHandle> gone = pinAndDrop(map);
    Awaitility.await()
        .until(() -> {
          System.gc();
          return gone.get() == null;
        });
    assertTrue(map.unpin(map.pin(1L << 40, 1, HANDLE)), "the map itself is alive");
  }

  private static WeakReference<NamedHandle> pinAndDrop(ReverseMap map) {
    NamedHandle handle = new NamedHandle(1);
    map.unpin(map.pin(0, 1, handle));
    return new WeakReference<>(handle);
  }

  @Test
  void pinAndUnpinAllocateNothing() {
    ReverseMap map = new ReverseMap();
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    int rounds = 50_000;
    pinAndUnpin(map, rounds);
    long before = threads.getCurrentThreadAllocatedBytes();
    pinAndUnpin(map, rounds);
    long bytes = threads.getCurrentThreadAllocatedBytes() - before;
    assertTrue(bytes < rounds, () -> bytes + " bytes in " + rounds + " rounds");
  }

  private static void pinAndUnpin(ReverseMap map, int rounds) {
    for (int i = 0; i < rounds; i++) {
      map.unpin(map.pin(i * 4096L, 4096, HANDLE));
    }
  }

  @Test
  void handleIsToldThePartThatItPinned() {
    ReverseMap map = new ReverseMap();
    NamedHandle record = new NamedHandle(1);
    NamedHandle window = new NamedHandle(2);
    NamedHandle elsewhere = new NamedHandle(3);
    map.pin(1000, 100, record);
    map.pin(0, 1L << 42, window);
    map.pin(1100, 10, elsewhere);
    assertEquals(2, map.invalidate(1050, 50));
    assertEquals(List.of("1050+50"), record.told);
    assertEquals(List.of("1050+50"), window.told);
    assertEquals(List.of(), elsewhere.told);
    map.invalidate(900, 110);
    assertEquals(List.of("1050+50", "1000+10"), record.told);
  }

  @Test
  void handleThatThrowsDoesNotKeepOthersFromBeingTold() {
    ReverseMap map = new ReverseMap();
    NamedHandle good = new NamedHandle(1);
    RuntimeException same = new IllegalStateException("same");
    for (int i = 0; i < 3; i++) {
      map.pin(i, 1, throwing(same));
      map.pin(i, 1, good);
      map.pin(i, 1, throwing(new IllegalStateException("other " + i)));
    }
    RuntimeException thrown =
        assertThrows(IllegalStateException.class, () -> map.invalidate(0, 100));
    assertEquals(3, good.told.size());
    assertTrue(thrown.getSuppressed().length >= 3);
  }

  private static MappingHandle throwing(RuntimeException exception) {
    return new MappingHandle() {
      @Override
      public String describe() {
        return "throws";
      }

      @Override
      public void invalidated(long offset, long length) {
        throw exception;
      }
    };
  }

  @Test
  void impossibleRangeIsRefused() {
    ReverseMap map = new ReverseMap();
    assertThrows(IllegalArgumentException.class, () -> map.pin(-1, 1, HANDLE));
    assertThrows(IllegalArgumentException.class, () -> map.pin(0, 0, HANDLE));
    assertThrows(IllegalArgumentException.class, () -> map.pin(0, -1, HANDLE));
    assertThrows(IllegalArgumentException.class, () -> map.pin(Long.MAX_VALUE, 1, HANDLE));
    assertThrows(IllegalArgumentException.class, () -> map.invalidate(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> map.mappings(1, -1, (o, l, h) -> {}));
  }

  private static List<String> mappings(MappingIndex index, long offset, long length) {
    List<String> found = new ArrayList<>();
    index.visit(offset, length, (o, l, handle) -> found.add(seen(o, l, (NamedHandle) handle)));
    found.sort(null);
    return found;
  }

  private static String seen(long offset, long length, NamedHandle handle) {
    return offset + "+" + length + " by " + handle.name();
  }

  private static long offset(SplittableRandom random) {
    return random.nextInt(4) == 0 ? random.nextLong(1L << 44) : random.nextLong(12 * MIB);
  }

  private static long length(SplittableRandom random) {
    return 1 + random.nextLong(1L << random.nextInt(4, random.nextInt(4) == 0 ? 44 : 22));
  }

  private static long slot(long token) {
    return token & ((1L << SlotSegment.NUMBER_BITS) - 1);
  }
}
