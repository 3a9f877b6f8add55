package dev.holdfast.crash;

import dev.holdfast.Store;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashPlace;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Visits the states that a power cut can leave of a {@link Story}: opens each, compares it with
 * what it may hold, goes on with operations, compares again.
 *
 * <p><b>Threads:</b> one.
 */
final class Enumeration implements AutoCloseable {
  private static final int MORE_OPERATIONS = 20;

  /** Every so many visits the store is opened once more after its close in order. */
  private static final int REOPEN_EVERY = 16;

  /** Every so many visits one of two legs is pulled out: what is there has to be on both. */
  private static final int PULL_EVERY = 16;

  private final Story story;
  private final Path directory;
  private final CrashPlace place;
  private final Set<Long> seen;

  /** By hash of the image: which of the story's states it was found to hold, as bits. */
  private final Map<Long, Integer> outcomes = new HashMap<>();

  private int visits;

  /**
   * @param directory the one that was recorded, which nobody has open: there are paths in its files
   * @param seen is given the hash of every image that is visited
   */
  Enumeration(Story story, Path directory, Set<Long> seen) {
    this.story = story;
    this.directory = directory;
    this.place = CrashPlace.of(story.log(), directory);
    this.seen = seen;
  }

  @Override
  public void close() {
    place.close();
  }

  /**
   * Visits every state, or a sample where there are too many at a point.
   *
   * @throws AssertionError if one is not what it may be; its message says how to see it again
   */
  void run(int sample, long seed) {
    run(sample, Integer.MAX_VALUE, seed);
  }

  /** As {@link #run(int, long)}, with about {@code limit} states at a point. */
  void run(int sample, int limit, long seed) {
    Random random = new Random(seed);
    for (int point = story.from(); point <= story.to(); point++) {
      int least = story.acknowledged(point);
      int most = story.begun(point);
      long ways = Math.min(story.log().ways(point), CrashLog.EXHAUSTIVE);
      boolean first = true;
      for (CrashImage image : story.log().images(point, Math.clamp(limit, 2, sample), seed)) {
        // The first is the one in which nothing persisted that could still be lost.
        boolean sampled = story.log().ways(point) > CrashLog.EXHAUSTIVE;
        if (!first && !sampled && ways > limit && random.nextLong(ways) >= limit) {
          continue;
        }
        first = false;
        Integer known = outcomes.get(image.hash());
        int outcome = known == null ? visit(image, point) : known;
        outcomes.put(image.hash(), outcome);
        boolean allowed = false;
        for (int state = least; state <= most; state++) {
          allowed |= (outcome & 1 << state) != 0;
        }
        if (!allowed) {
          throw failure(image, point, whyNot(image, least, most), null);
        }
      }
    }
  }

  private AssertionError failure(
      CrashImage image, int point, String why, @org.jspecify.annotations.Nullable Throwable cause) {
    return new AssertionError(
        story.name()
            + ", cut before \""
            + story.log().next(point)
            + "\" with "
            + story.acknowledged(point)
            + " of "
            + story.begun(point)
            + " operations acknowledged ("
            + image
            + "): "
            + why,
        cause);
  }

  private String whyNot(CrashImage image, int least, int most) {
    place.show(image);
    return story.alone() ? alone(() -> whyNot(least, most)) : whyNot(least, most);
  }

  private String whyNot(int least, int most) {
    try (Store store = story.setup().open(directory)) {
      Contents found = Contents.of(store);
      StringBuilder why = new StringBuilder();
      for (int state = least; state <= most; state++) {
        why.append(state == least ? "" : "; or ")
            .append(story.states().get(state).differenceTo(found));
      }
      return why.toString();
    }
  }

  /** Which states an image holds; none if it holds something else. */
  private int visit(CrashImage image, int point) {
    seen.add(image.hash());
    visits++;
    place.show(image);
    try {
      return story.alone() ? alone(() -> visitNow(image)) : visitNow(image);
    } catch (HoldfastException | AssertionError | IllegalStateException e) {
      throw failure(image, point, e.toString(), e);
    }
  }

  /** Does something without the first leg: the other one has to do. */
  private <T> T alone(Supplier<T> look) {
    Path leg = directory.resolve("leg-0.pmem");
    Path away = directory.resolve("leg-0.pmem.removed");
    try {
      boolean there = Files.exists(leg);
      if (there) {
        Files.move(leg, away);
      }
      try {
        return look.get();
      } finally {
        if (there) {
          Files.move(away, leg);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private int visitNow(CrashImage image) {
    int outcome = 0;
    Contents goneOn;
    try (Store store = story.setup().open(directory)) {
      requireNothingLost(store);
      Contents found = Contents.of(store);
      for (int state = 0; state < story.states().size(); state++) {
        if (story.states().get(state).differenceTo(found) == null) {
          outcome |= 1 << state;
        }
      }
      found.requireGets(store, story.states().getLast());
      found.requireGets(store, story.states().getFirst());
      boolean pulled = story.whole() && story.setup().mirrored() && visits % PULL_EVERY == 0;
      if (pulled) {
        pullOut(store, visits / PULL_EVERY % 2);
      }
      goneOn = goOn(store, found, new Random(image.hash()));
      requireSame(goneOn, store, "after more operations");
      if (pulled) {
        return outcome;
      }
      requireNothingLost(store);
    }
    if (visits % REOPEN_EVERY == 0) {
      try (Store store = story.setup().open(directory)) {
        requireSame(goneOn, store, "after the next open");
        requireNothingLost(store);
      }
    }
    return outcome;
  }

  private static void pullOut(Store store, int leg) {
    ((dev.holdfast.pmem.EmulatedDevice) store.devices().get(leg)).faults().remove();
  }

  private void requireNothingLost(Store store) {
    if (!store.health().lost().isEmpty()) {
      throw new AssertionError("something is named as lost: " + store.health().lost());
    }
    if (story.whole() && store.health().state() != StoreState.ONLINE) {
      throw new AssertionError("expected the store ONLINE, was " + store.health());
    }
  }

  private static void requireSame(Contents expected, Store store, String when) {
    Contents found = Contents.of(store);
    String difference = expected.differenceTo(found);
    if (difference != null) {
      throw new AssertionError(when + ": " + difference);
    }
    found.requireGets(store, found);
  }

  /** More operations, on the keys that are there and a few others. */
  private static Contents goOn(Store store, Contents found, Random random) {
    List<String> keys = new ArrayList<>(found.entries().keySet());
    Contents now = found;
    for (int i = 0; i < MORE_OPERATIONS; i++) {
      String key =
          keys.isEmpty() || random.nextInt(4) == 0
              ? "m" + random.nextInt(100)
              : keys.get(random.nextInt(keys.size()));
      Change change =
          random.nextInt(4) == 0
              ? Change.remove(key)
              : Change.put(key, 5_000 + i, lengthOf(random));
      change.applyTo(store);
      now = now.with(change);
    }
    return now;
  }

  private static int lengthOf(Random random) {
    return switch (random.nextInt(8)) {
      case 0 -> 2_000;
      case 1, 2 -> Base.LARGE;
      case 3 -> 0;
      default -> random.nextInt(60);
    };
  }
}
