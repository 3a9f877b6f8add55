package dev.holdfast.rmap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class OwnersTest {
  private static final Owner OWNER = new Owner.Metadata("test");

  /** Compared by what it says, as a caller's extents may be. */
  private record Extent(long offset, long length, Owner owner) implements OwnedExtent {
    Extent(long offset, long length) {
      this(offset, length, OWNER);
    }
  }

  private final ReverseMap map = new ReverseMap();

  @Test
  void ownersAgreeWithASortedModel() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("OwnersTest: -Dseed=" + seed);
    SplittableRandom random = new SplittableRandom(seed);
    TreeMap<Long, OwnedExtent> model = new TreeMap<>();
    int space = 4_000;
    long shown = 0;
    for (int step = 0; step < 60_000; step++) {
      long offset = random.nextInt(space);
      int length = 1 + random.nextInt(random.nextBoolean() ? 5 : 60);
      switch (random.nextInt(3)) {
        case 0 -> {
          Extent extent = new Extent(offset, length);
          if (overlapping(model, offset, length).isEmpty()) {
            model.put(offset, extent);
            map.own(extent);
          }
        }
        case 1 -> {
          Map.Entry<Long, OwnedExtent> entry = model.floorEntry(offset);
          if (entry != null) {
            model.remove(entry.getKey());
            map.disown(entry.getValue());
          }
        }
        default -> {
          long lookup = random.nextInt(8) == 0 ? random.nextInt(space) : length - 1;
          List<OwnedExtent> expected = overlapping(model, offset, lookup);
          assertEquals(expected, owners(offset, lookup), "seed " + seed + " step " + step);
          shown += expected.size();
        }
      }
    }
    assertTrue(shown > 10_000, "lookups must find something to show anything: " + shown);
  }

  @Test
  void coldDataIsFoundFromEveryByteOfIt() {
    map.own(new Extent(100, 10));
    assertEquals(List.of(), owners(90, 10));
    assertEquals(1, owners(90, 11).size());
    assertEquals(1, owners(105, 1).size());
    assertEquals(1, owners(109, 1).size());
    assertEquals(List.of(), owners(110, 1));
    assertEquals(List.of(), owners(105, 0));
    assertEquals(1, owners(0, Long.MAX_VALUE).size());
  }

  @Test
  void overlappingExtentIsReportedAsABug() {
    map.own(new Extent(100, 10));
    assertThrows(AssertionError.class, () -> map.own(new Extent(95, 6)));
    assertThrows(AssertionError.class, () -> map.own(new Extent(109, 1)));
    assertThrows(AssertionError.class, () -> map.own(new Extent(100, 10)));
    map.own(new Extent(110, 5));
  }

  @Test
  void disownOfAReplacedExtentLeavesTheNewOwnerAlone() {
    Extent before = new Extent(100, 10);
    Extent after = new Extent(100, 10);
    map.own(before);
    map.disown(before);
    map.own(after);
    map.disown(before);
    assertEquals(1, owners(100, 1).size());
    map.disown(after);
    assertEquals(List.of(), owners(100, 1));
  }

  @Test
  void impossibleRangeIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> owners(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> owners(0, -1));
    assertThrows(IllegalArgumentException.class, () -> owners(Long.MAX_VALUE, 1));
  }

  @Test
  void whatIsOwnedAllTheTimeIsShownOnceAmidChurn() throws Exception {
    for (int i = 0; i < 200; i++) {
      map.own(new Extent(i * 100L, 50));
    }
    AtomicBoolean done = new AtomicBoolean();
    try (var threads = Executors.newThreadPerTaskExecutor(Thread.ofPlatform().factory())) {
      List<Future<?>> churners = new ArrayList<>();
      for (int t = 0; t < 2; t++) {
        int part = 50 + 25 * t;
        churners.add(
            threads.submit(() -> {
              for (int i = 0; !done.get(); i = (i + 1) % 200) {
                Extent extent = new Extent(i * 100L + part, 25);
                map.own(extent);
                map.disown(extent);
              }
            }));
      }
      try {
        for (int round = 0; round < 3_000; round++) {
          List<OwnedExtent> all = owners(25, 19_950);
          long last = -1;
          int stable = 0;
          for (OwnedExtent extent : all) {
            assertTrue(extent.offset() > last, "ascending");
            last = extent.offset();
            stable += extent.length() == 50 ? 1 : 0;
          }
          assertEquals(200, stable);
        }
      } finally {
        done.set(true);
      }
      for (Future<?> churner : churners) {
        churner.get();
      }
    }
    assertEquals(200, owners(0, Long.MAX_VALUE).size());
  }

  private List<OwnedExtent> owners(long offset, long length) {
    List<OwnedExtent> found = new ArrayList<>();
    map.owners(offset, length, found::add);
    return found;
  }

  private static List<OwnedExtent> overlapping(
      Map<Long, OwnedExtent> model, long offset, long length) {
    return model.values().stream()
        .filter(e -> e.offset() < offset + length && offset < e.offset() + e.length() && length > 0)
        .toList();
  }
}
