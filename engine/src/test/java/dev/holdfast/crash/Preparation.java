package dev.holdfast.crash;

import dev.holdfast.Store;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * What has to be done to a new store so that the next operation of some kind makes it do something:
 * split a leaf, grow, and so on. Which operation that is depends on how the tree sizes things, so
 * that it is found out by trying.
 */
final class Preparation {
  private static final int MOST_TRIES = 600;

  private final Setup setup;
  private final Path scratch;
  private final List<Change> changes = new ArrayList<>();
  private Contents contents = Contents.empty();

  /**
   * @param scratch a directory to try in
   */
  Preparation(boolean mirrored, Path scratch) {
    this.setup = new Setup(PersistenceMode.DAX, mirrored);
    this.scratch = scratch;
  }

  void add(Change change) {
    changes.add(change);
    contents = contents.with(change);
  }

  /** Does {@code next} as often as possible before it has a flush of that name come by. */
  int addUntil(String site, IntFunction<Change> next) {
    int count = tries(site, next);
    for (int i = 0; i < count; i++) {
      add(next.apply(i));
    }
    return count;
  }

  private int tries(String site, IntFunction<Change> next) {
    try (Scratch directory = Scratch.in(scratch);
        CrashRecorder recorder = CrashRecorder.start(directory.path());
        Store store = setup.open(directory.path())) {
      changes.forEach(change -> change.applyTo(store));
      int before = count(recorder, site);
      for (int i = 0; i < MOST_TRIES; i++) {
        next.apply(i).applyTo(store);
        if (count(recorder, site) > before) {
          return i;
        }
      }
      throw new AssertionError("expected a flush called \"" + site + "\", was none");
    }
  }

  private static int count(CrashRecorder recorder, String site) {
    return recorder.log().flushSites().getOrDefault(site, 0);
  }

  Contents contents() {
    return contents;
  }

  /** Makes the store in a directory, and closes it. */
  void make(Path directory) {
    try (Store store = setup.prepare(directory)) {
      changes.forEach(change -> change.applyTo(store));
    }
  }
}
