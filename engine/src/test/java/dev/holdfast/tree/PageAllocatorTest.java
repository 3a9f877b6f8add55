package dev.holdfast.tree;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The pages of a volume against a set of bits. */
final class PageAllocatorTest {
  private static final long FIRST = 5;

  private record Run(long page, int count) {}

  private static PageAllocator of(long pages) {
    PageAllocator allocator = new PageAllocator(FIRST);
    allocator.growTo(FIRST + pages);
    return allocator;
  }

  private static int longestRun(BitSet free) {
    int longest = 0;
    for (int at = free.nextSetBit(0); at >= 0; ) {
      int end = free.nextClearBit(at);
      longest = Math.max(longest, end - at);
      at = free.nextSetBit(end);
    }
    return longest;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 16, 17, 300})
  void answersAsASetOfBitsDoes(int longest) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("answersAsASetOfBitsDoes: -Dseed=" + seed);
    Random random = new Random(seed);
    PageAllocator allocator = new PageAllocator(FIRST);
    BitSet free = new BitSet();
    List<Run> held = new ArrayList<>();
    List<Run> retired = new ArrayList<>();
    int end = (int) FIRST;
    for (int i = 0; i < 100_000; i++) {
      if (i % 10_000 == 0) {
        int next = end + random.nextInt(1_000);
        allocator.growTo(next);
        free.set(end, next);
        end = next;
        allocator.growTo(FIRST);
      }
      boolean fills = i / 5_000 % 2 == 0;
      if (random.nextInt(10) < (fills ? 7 : 3)) {
        int count = 1 + random.nextInt(longest);
        boolean rewrite = random.nextInt(4) == 0;
        long left = (long) free.cardinality() - count;
        boolean may = longestRun(free) >= count && left >= (rewrite ? 0 : allocator.reserve());
        long page = allocator.allocate(count, rewrite);
        assertEquals(may, page != PageAllocator.NONE, "allocated a run where there is one");
        if (page != PageAllocator.NONE) {
          int at = (int) page;
          assertTrue(free.nextClearBit(at) >= at + count, "a run that was free");
          free.clear(at, at + count);
          held.add(new Run(page, count));
        }
      } else if (!held.isEmpty()) {
        Run run = held.remove(random.nextInt(held.size()));
        int at = (int) run.page;
        if (random.nextInt(3) == 0) {
          allocator.retire(run.page, run.count);
          retired.add(run);
        } else {
          // In two parts, in any order.
          int part = random.nextInt(run.count);
          allocator.free(run.page + part, run.count - part);
          if (part > 0) {
            allocator.free(run.page, part);
          }
          free.set(at, at + run.count);
          assertThrows(IllegalStateException.class, () -> allocator.free(run.page, run.count));
        }
      }
      if (random.nextInt(200) == 0) {
        boolean over = random.nextBoolean();
        boolean none = retired.isEmpty();
        assertEquals(over || none, allocator.reclaim(() -> over));
        if (over) {
          retired.forEach(run -> free.set((int) run.page, (int) run.page + run.count));
          retired.clear();
        }
      }
      assertEquals(free.cardinality(), allocator.freePages());
      assertEquals(retired.stream().mapToLong(Run::count).sum(), allocator.retiredPages());
      if (i % 50 == 0) {
        assertEquals(longestRun(free), allocator.largestRun());
      }
    }
  }

  @Test
  void whatIsPinnedBehindTheGracePeriodIsFreeWhenThatHasEnded() {
    PageAllocator allocator = of(1_000);
    Set<Long> pinned = new HashSet<>();
    allocator.pinnedBy((page, count) -> pinned.contains(page));
    long kept = allocator.allocate(10, true);
    long other = allocator.allocate(20, true);
    allocator.retire(kept, 10);
    allocator.retire(other, 20);
    // Who was in it ends, and has pinned it before that.
    assertTrue(allocator.reclaim(() -> pinned.add(kept)));
    assertEquals(990, allocator.freePages());
    assertEquals(0, allocator.retiredPages());
    assertEquals(10, allocator.pinnedPages());
    assertThrows(IllegalStateException.class, () -> allocator.markUsed(kept, 1));
    List<Long> shown = new ArrayList<>();
    allocator.forEachPinned((page, count) -> shown.add(page));
    assertEquals(List.of(kept), shown);
    // Nobody looks for what has not ended.
    assertTrue(allocator.reclaim(() -> true));
    pinned.clear();
    assertEquals(0, allocator.waitingPages());
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(10, allocator.pinnedPages());
    allocator.pinEnded();
    assertEquals(10, allocator.waitingPages());
    // Its last reader may be under way.
    assertFalse(allocator.reclaim(() -> false));
    assertEquals(990, allocator.freePages());
    assertEquals(10, allocator.retiredPages());
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(1_000, allocator.freePages());
    assertEquals(0, allocator.pinnedPages());
    assertEquals(0, allocator.waitingPages());
  }

  @Test
  void aPinThatEndsWhileThePinnedAreLookedThroughIsFoundTheNextTime() {
    PageAllocator allocator = of(1_000);
    long page = allocator.allocate(10, true);
    allocator.pinnedBy((_, _) -> true);
    allocator.retire(page, 10);
    assertTrue(allocator.reclaim(() -> true));
    allocator.pinnedBy((_, _) -> allocator.pinEnded());
    allocator.pinEnded();
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(10, allocator.waitingPages());
    allocator.pinnedBy((_, _) -> false);
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(1_000, allocator.freePages());
  }

  @Test
  void whatCannotBeAskedForStaysRetired() {
    PageAllocator allocator = of(1_000);
    long page = allocator.allocate(10, true);
    allocator.retire(page, 10);
    allocator.pinnedBy((_, _) -> {
      throw new IllegalArgumentException("planted");
    });
    assertThrows(IllegalArgumentException.class, () -> allocator.reclaim(() -> true));
    assertEquals(10, allocator.retiredPages());
    allocator.pinnedBy((_, _) -> false);
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(1_000, allocator.freePages());
  }

  @Test
  void whatIsUsedAtOpeningIsNotGivenOut() {
    PageAllocator allocator = of(1_000);
    allocator.markUsed(FIRST + 100, 800);
    assertEquals(200, allocator.freePages());
    assertEquals(100, allocator.largestRun());
    assertThrows(IllegalStateException.class, () -> allocator.markUsed(FIRST + 899, 2));
    assertThrows(IllegalStateException.class, () -> allocator.markUsed(FIRST + 98, 4));
    assertEquals(200, allocator.freePages());
    assertThrows(IllegalArgumentException.class, () -> allocator.markUsed(FIRST + 999, 2));
    assertThrows(IllegalArgumentException.class, () -> allocator.markUsed(FIRST - 1, 2));
    for (int i = 0; i < 200; i++) {
      long page = allocator.allocate(1, true) - FIRST;
      assertTrue(page >= 0 && (page < 100 || page >= 900), "page: " + page);
    }
    assertEquals(PageAllocator.NONE, allocator.allocate(1, true));
  }

  @Test
  void pagesAreFreedOnce() {
    PageAllocator allocator = of(1_000);
    long page = allocator.allocate(10);
    allocator.free(page + 3, 1);
    assertThrows(IllegalStateException.class, () -> allocator.free(page, 10));
    assertThrows(IllegalStateException.class, () -> allocator.free(page + 3, 1));
    assertThrows(IllegalStateException.class, () -> allocator.retire(page + 2, 2));
    assertThrows(IllegalStateException.class, () -> allocator.quarantine(page + 2, 2));
    assertThrows(IllegalStateException.class, () -> allocator.free(FIRST + 999, 1));
    assertEquals(991, allocator.freePages());
    // One that is freed beside its retirement is told, the others are freed.
    allocator.retire(page, 3);
    allocator.retire(page + 4, 6);
    allocator.free(page, 3);
    assertThrows(IllegalStateException.class, () -> allocator.reclaim(() -> true));
    assertEquals(1_000, allocator.freePages());
    assertEquals(0, allocator.retiredPages());
  }

  @ParameterizedTest
  @ValueSource(ints = {10, 100, 512, 3_200, 32_768, 1_000_000})
  void reserveIsForRewrites(int pages) {
    PageAllocator allocator = of(pages);
    allocator.mayGrow(true);
    assertEquals(Math.min(1024, Math.max(16, pages / 32)), allocator.reserve());
    allocator.mayGrow(false);
    long reserve = Math.min(1 << 16, Math.max(16, pages / 12));
    assertEquals(reserve, allocator.reserve());
    long taken = 0;
    while (allocator.allocate(1) != PageAllocator.NONE) {
      taken++;
    }
    assertEquals(Math.max(0, pages - reserve), taken);
    assertEquals(Math.min(pages, reserve), allocator.freePages());
    long rewrites = 0;
    while (allocator.allocate(1, true) != PageAllocator.NONE) {
      rewrites++;
    }
    assertEquals(Math.min(pages, reserve), rewrites);
    assertEquals(0, allocator.freePages());
    assertEquals(0, allocator.largestRun());
    allocator.growTo(FIRST + pages + 100_000);
    assertEquals(FIRST + pages, allocator.allocate(3));
  }

  /** The search goes on from where it was, so that what was freed just now is not taken at once. */
  @Test
  void nextRunIsBehindTheLastOne() {
    PageAllocator allocator = of(4_000);
    long page = allocator.allocate(4);
    allocator.free(page, 4);
    assertEquals(page + 4, allocator.allocate(4));
    assertEquals(page + 8, allocator.allocate(100));
  }

  @Test
  void longestRunsAreFoundAlsoAroundTheHint() {
    PageAllocator allocator = of(3L * PageAllocator.LONGEST_RUN);
    assertEquals(FIRST, allocator.allocate(PageAllocator.LONGEST_RUN));
    long second = allocator.allocate(PageAllocator.LONGEST_RUN);
    assertEquals(FIRST + PageAllocator.LONGEST_RUN, second);
    allocator.free(FIRST + 1, PageAllocator.LONGEST_RUN - 1);
    allocator.free(second, 1);
    // It begins before the hint, and no other one is so long once some of the rest is taken.
    long last = allocator.allocate(PageAllocator.LONGEST_RUN, true);
    assertEquals(second + PageAllocator.LONGEST_RUN, last);
    assertEquals(FIRST + 1, allocator.allocate(PageAllocator.LONGEST_RUN, true));
    assertThrows(
        IllegalArgumentException.class, () -> allocator.allocate(PageAllocator.LONGEST_RUN + 1));
    assertThrows(IllegalArgumentException.class, () -> allocator.allocate(0));
  }

  @Test
  void runsInQuarantineAreNotGivenOut() {
    PageAllocator allocator = of(64);
    long bad = allocator.allocate(20, true);
    long good = allocator.allocate(20, true);
    allocator.quarantine(bad, 20);
    allocator.quarantine(good, 20);
    assertEquals(24, allocator.freePages());
    assertEquals(PageAllocator.NONE, allocator.allocate(25, true));
    allocator.releaseQuarantine((page, count) -> page == good && count == 20);
    assertEquals(44, allocator.freePages());
    // A predicate that fails changes nothing that it was not asked for.
    assertThrows(
        IllegalArgumentException.class,
        () ->
            allocator.releaseQuarantine((page, count) -> {
              throw new IllegalArgumentException("no answer");
            }));
    assertEquals(44, allocator.freePages());
    allocator.releaseQuarantine((page, count) -> page == bad);
    assertEquals(64, allocator.largestRun());
  }

  /** What is retired is not given out while the grace lasts, nor after one that did not end. */
  @Test
  void retiredRunsWaitForTheGrace() {
    PageAllocator allocator = of(32);
    long page = allocator.allocate(32, true);
    allocator.retire(page, 32);
    assertEquals(32, allocator.retiredPages());
    assertFalse(
        allocator.reclaim(() -> {
          assertEquals(PageAllocator.NONE, allocator.allocate(1, true));
          return false;
        }));
    assertThrows(
        IllegalArgumentException.class,
        () ->
            allocator.reclaim(() -> {
              throw new IllegalArgumentException("no grace");
            }));
    assertEquals(32, allocator.retiredPages());
    assertEquals(PageAllocator.NONE, allocator.allocate(1, true));
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(0, allocator.retiredPages());
    assertNotEquals(PageAllocator.NONE, allocator.allocate(32, true));
  }

  @Test
  void aPageTakesABit() {
    PageAllocator allocator = of(1L << 24);
    assertTrue(allocator.bytes() <= (1L << 21) + 8, () -> "bytes: " + allocator.bytes());
    assertEquals(1L << 24, allocator.largestRun());
    assertThrows(
        IllegalArgumentException.class, () -> allocator.growTo(PageAllocator.MOST_PAGES + 1));
  }

  @Test
  void noPageHasTwoHolders() throws Exception {
    PageAllocator allocator = of(4_000);
    AtomicIntegerArray holders = new AtomicIntegerArray(4_000 + (int) FIRST);
    AtomicReference<Throwable> failed = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      Random random = new Random(t);
      threads.add(
          Thread.ofPlatform()
              .start(() -> {
                try {
                  takeAndGiveBack(allocator, holders, random);
                } catch (Throwable e) {
                  failed.set(e);
                }
              }));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertNull(failed.get(), () -> String.valueOf(failed.get()));
    assertTrue(allocator.reclaim(() -> true));
    assertEquals(4_000, allocator.freePages());
    assertEquals(4_000, allocator.largestRun());
  }

  private static void takeAndGiveBack(
      PageAllocator allocator, AtomicIntegerArray holders, Random random) {
    List<Run> held = new ArrayList<>();
    for (int i = 0; i < 100_000; i++) {
      int count = 1 + random.nextInt(30);
      long page = held.size() < 100 ? allocator.allocate(count) : PageAllocator.NONE;
      if (page != PageAllocator.NONE) {
        for (int p = 0; p < count; p++) {
          assertEquals(1, holders.incrementAndGet((int) page + p), "holders of a page");
        }
        held.add(new Run(page, count));
      } else if (!held.isEmpty()) {
        giveBack(allocator, holders, held.remove(random.nextInt(held.size())), i);
      }
      if (i % 100 == 0) {
        assertTrue(allocator.reclaim(() -> true));
      }
    }
    for (Run run : held) {
      giveBack(allocator, holders, run, 1);
    }
  }

  private static void giveBack(
      PageAllocator allocator, AtomicIntegerArray holders, Run run, int turn) {
    for (int p = 0; p < run.count; p++) {
      holders.decrementAndGet((int) run.page + p);
    }
    if (turn % 2 == 0) {
      allocator.retire(run.page, run.count);
    } else {
      allocator.free(run.page, run.count);
    }
  }

  @Test
  void placesThatAreABitShortAreTakenAsTheyAre() {
    PageAllocator allocator = new PageAllocator(FIRST);
    allocator.growTo(FIRST + 100);
    assertEquals(FIRST, allocator.allocate(100, true));
    allocator.free(FIRST + 5, 8);
    allocator.free(FIRST + 20, 12);
    allocator.free(FIRST + 40, 30);
    long run = allocator.allocateUpTo(10, 16, true);
    assertEquals(FIRST + 20, PageAllocator.pageOf(run));
    assertEquals(12, PageAllocator.countOf(run));
    run = allocator.allocateUpTo(10, 16, true);
    assertEquals(FIRST + 40, PageAllocator.pageOf(run));
    assertEquals(16, PageAllocator.countOf(run));
    run = allocator.allocateUpTo(10, 16, true);
    assertEquals(14, PageAllocator.countOf(run));
    assertEquals(PageAllocator.NONE, allocator.allocateUpTo(10, 16, true));
    assertEquals(8, allocator.freePages());
    assertThrows(IllegalArgumentException.class, () -> allocator.allocateUpTo(5, 4, true));
  }
}
