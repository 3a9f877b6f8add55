package dev.holdfast;

import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.seed;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is there all the time of a walk is seen by it, also while leaves are split under it. */
final class ScanDuringSplitsTest {
  private static final int KEYS = 40_000;
  private static final int EACH = 20;

  @TempDir Path directory;

  @Test
  void aWalkMissesNothingOfALeafThatIsSplit() {
    Random random = new Random(seed("aWalkMissesNothingOfALeafThatIsSplit"));
    try (Store store = Store.open(directory.resolve("s"))) {
      List<Integer> others = new ArrayList<>();
      for (int i = 0; i < KEYS; i++) {
        if (i % EACH == 0) {
          store.put(key(i), value(i, 100));
        } else {
          others.add(i);
        }
      }
      Collections.shuffle(others, random);
      CompletableFuture<Void> writer =
          CompletableFuture.runAsync(() -> others.forEach(i -> store.put(key(i), value(i, 100))));
      int walks = 0;
      while (!writer.isDone()) {
        walk(store, walks % 2 == 1);
        walks++;
      }
      writer.join();
      assertTrue(walks > 0);
      walk(store, false);
      walk(store, true);
    }
  }

  private static void walk(Store store, boolean reverse) {
    int next = reverse ? KEYS - EACH : 0;
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        byte[] key = cursor.key();
        int number =
            Integer.parseInt(new String(key, 4, 6, java.nio.charset.StandardCharsets.US_ASCII));
        if (number % EACH == 0) {
          assertArrayEquals(key(next), key, "a key that is there all the time was passed over");
          next += reverse ? -EACH : EACH;
        }
      }
    }
    assertTrue(reverse ? next < 0 : next >= KEYS, "the walk ended before " + next);
  }
}
