package dev.holdfast.rules;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.WriteBatch;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.LegMarks;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * L6: a process that dies after the file system under a leg died and before anybody noticed. The
 * leg comes back unmarked and without what was acknowledged since; of what was not flushed before,
 * each page is as the kernel last wrote it, or not.
 */
final class L6LostMediumTest {
  private static final int PAGE = 4096;

  @TempDir(factory = FastPlace.class)
  Path directory;

  /** Which pages the medium had when it was lost. */
  enum Left {
    /** What was flushed last, and nothing that came later. */
    OLDEST,
    /** Each page as it was at one time or another. */
    ANY_PAGE,
    /** Each region as it was at one time or another. */
    ANY_REGION
  }

  private StoreBuilder builder(PersistenceMode mode) {
    return Store.builder(directory.resolve("s"))
        .initialCapacity(4 << 20)
        .persistence(mode)
        // Nobody notices.
        .heartbeat(Duration.ZERO);
  }

  @ParameterizedTest
  @EnumSource(Left.class)
  void whatWasAcknowledgedIsThereAfterACrashBeforeTheLossWasNoticed(Left left) throws Exception {
    for (int round = 0; round < 6; round++) {
      crashInTheWindow(left, Long.getLong("seed", System.nanoTime()) + round);
    }
  }

  private void crashInTheWindow(Left left, long seed) throws IOException {
    System.out.println("L6 lost medium " + left + ": -Dseed=" + seed);
    Random random = new Random(seed);
    int lost = random.nextInt(2);
    Path place = directory.resolve("s");
    Ledger ledger = new Ledger(seed);
    List<Path> versions = new ArrayList<>();
    Path back;
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      long number = run(store, ledger, seed, 0, 200 + random.nextInt(400));
      if (random.nextBoolean()) {
        // Regions that are idle are flushed and called clean: those are on the medium.
        var _ = store.compact();
      }
      Entries.device(store, lost).faults().shutDownFileSystem();
      for (int version = 0; version < 4; version++) {
        Path copy = directory.resolve("version-" + version);
        Files.copy(CrashImage.leg(place, lost), copy, StandardCopyOption.REPLACE_EXISTING);
        versions.add(copy);
        number = run(store, ledger, seed, number, random.nextInt(200));
      }
      back = CrashImage.of(place, directory.resolve("back"));
    }
    mix(versions, left, random, CrashImage.leg(back, lost));

    try (Store store = Store.open(back)) {
      ledger.settle(store);
      Entries.awaitOnline(store);
      ledger.settle(store);
      assertEquals(List.of(), store.health().lost());
    }
    // And either leg has it all.
    Path one = CrashImage.of(back, directory.resolve("one"));
    CrashImage.remove(one, 1 - lost);
    try (Store store = Store.open(one)) {
      ledger.settle(store);
    }
    for (Path used : List.of(place, back, one)) {
      deleteAll(used);
    }
  }

  private static long run(Store store, Ledger ledger, long seed, long from, int count) {
    for (long number = from; number < from + count; number++) {
      Workload.Op op = Workload.op(seed, 0, number);
      if (number % 17 == 3) {
        Workload.Op second = Workload.op(seed, 1, number);
        WriteBatch batch = new WriteBatch();
        add(batch, op);
        add(batch, second);
        store.write(batch);
        ledger.record(second.key(), second.value());
      } else {
        op.run(store);
      }
      ledger.record(op.key(), op.value());
    }
    return from + count;
  }

  private static void add(WriteBatch batch, Workload.Op op) {
    byte[] key = op.key().getBytes(java.nio.charset.StandardCharsets.US_ASCII);
    byte[] value = op.value();
    if (value == null) {
      batch.remove(key);
    } else {
      batch.put(key, value);
    }
  }

  private static void mix(List<Path> versions, Left left, Random random, Path into)
      throws IOException {
    Files.copy(versions.getFirst(), into, StandardCopyOption.REPLACE_EXISTING);
    if (left == Left.OLDEST) {
      return;
    }
    int step = left == Left.ANY_PAGE ? PAGE : 1 << 20;
    byte[] bytes = new byte[step];
    long size = Files.size(into);
    try (RandomAccessFile target = new RandomAccessFile(into.toFile(), "rw")) {
      for (long at = 0; at < size; at += step) {
        Path chosen = versions.get(random.nextInt(versions.size()));
        try (RandomAccessFile source = new RandomAccessFile(chosen.toFile(), "r")) {
          source.seek(at);
          int read = source.read(bytes);
          if (read > 0) {
            target.seek(at);
            target.write(bytes, 0, (int) Math.min(read, size - at));
          }
        }
      }
    }
  }

  private static void deleteAll(Path store) throws IOException {
    try (var files = Files.list(store)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(store);
  }

  /** What a crash now leaves of a store of which one leg is as it was. */
  private Path crashWith(int leg, Path asItWas) throws IOException {
    Path back = CrashImage.of(directory.resolve("s"), directory.resolve("back"));
    Files.copy(asItWas, CrashImage.leg(back, leg), StandardCopyOption.REPLACE_EXISTING);
    return back;
  }

  /**
   * The leg that was lost once said that the other is stale. It must have been told better on its
   * medium before the other serves: alone it would win, with what it had then.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void legThatWasTheOnlyOneOnceDoesNotComeBackAsThat(int only) throws Exception {
    Path place = directory.resolve("s");
    Path then = directory.resolve("then");
    Path back;
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      Entries.put(store, 0, 50);
      Entries.device(store, 1 - only).faults().remove();
      Entries.put(store, 50, 100);
      Files.copy(CrashImage.leg(place, only), then);
      assertEquals("STALE", LegMarks.of(then, 1 - only));
      Entries.device(store, 1 - only).faults().reinsert();
      Entries.awaitOnline(store);
      Path told = directory.resolve("told");
      Files.copy(CrashImage.leg(place, only), told);
      Entries.device(store, only).faults().shutDownFileSystem();
      Entries.put(store, 100, 150);
      back = crashWith(only, told);
    }
    try (Store store = Store.open(back)) {
      Entries.assertHoldsOnly(store, 0, 150);
    }
  }

  /**
   * What the other leg would serve alone must be known on the medium of the one that served before.
   */
  @Test
  void marksThatDoNotComeToTheMediumEndTheCopy() {
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      Entries.put(store, 0, 50);
      Entries.device(store, 1).faults().remove();
      Entries.put(store, 50, 100);
      Entries.device(store, 0).faults().failFlush("superblock");
      Entries.device(store, 1).faults().reinsert();
      await().until(() -> store.health().state() == StoreState.READ_ONLY);
      Entries.assertHoldsOnly(store, 0, 100);
    }
  }

  /** The medium of one leg was clean when it died: only the other one says what came since. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void whatOnlyTheOtherLegKnowsToBeDirtyIsReconciled(int lost) throws Exception {
    Path place = directory.resolve("s");
    Path then = directory.resolve("then");
    Path back;
    try (Store store = builder(PersistenceMode.PROCESS).open()) {
      Entries.put(store, 0, 50);
      await().atMost(Duration.ofSeconds(20)).until(() -> isClean(store, 0) && isClean(store, 1));
      Entries.device(store, lost).faults().shutDownFileSystem();
      Files.copy(CrashImage.leg(place, lost), then);
      Entries.put(store, 50, 100);
      back = crashWith(lost, then);
    }
    try (Store store = Store.open(back)) {
      Entries.assertHoldsOnly(store, 0, 100);
      Entries.awaitOnline(store);
      Entries.device(store, 1 - lost).faults().remove();
      Entries.assertHoldsOnly(store, 0, 100);
    }
  }

  private static boolean isClean(Store store, int leg) {
    byte[] map = new byte[PAGE];
    store.devices().get(leg).read(VolumeLayout.DIRTY_MAP_OFFSET, map, 0, map.length);
    return Arrays.equals(map, new byte[PAGE]);
  }

  @Test
  void flushedWritesAreThereAfterACrashBeforeTheLossWasNoticed() throws Exception {
    Path place = directory.resolve("s");
    Path then = directory.resolve("then");
    Path back;
    try (Store store = builder(PersistenceMode.FILE).open()) {
      Entries.put(store, 0, 100);
      Entries.device(store, 0).faults().shutDownFileSystem();
      Files.copy(CrashImage.leg(place, 0), then);
      // The first flush notices: what follows is acknowledged by the other leg alone.
      Entries.put(store, 100, 200);
      back = crashWith(0, then);
    }
    try (Store store = Store.open(back)) {
      Entries.assertHoldsOnly(store, 0, 200);
      Entries.awaitOnline(store);
      Entries.device(store, 1).faults().remove();
      Entries.assertHoldsOnly(store, 0, 200);
    }
  }
}
