package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The file that says how far the scrub is: believed if it validates, else as if it were none. */
final class ScrubCursorTest {
  private static final UUID STORE = new UUID(1, 2);
  private static final Duration DAY = Duration.ofDays(1);

  @TempDir Path directory;

  @Test
  void whatIsWrittenIsRead() throws IOException {
    Path file = directory.resolve("scrub");
    byte[] key = new byte[4104];
    key[17] = -3;
    ScrubCursor cursor = new ScrubCursor(STORE, 5, 6, 7, key);
    cursor.write(file);
    ScrubCursor read = ScrubCursor.read(file, STORE);
    assertNotNull(read);
    assertEquals(5, read.since());
    assertEquals(6, read.completed());
    assertEquals(7, read.leavesDone());
    assertArrayEquals(key, read.next());
    cursor.completedAt(9).write(file);
    read = ScrubCursor.read(file, STORE);
    assertNotNull(read);
    assertNull(read.next());
    assertEquals(9, read.completed());
  }

  @Test
  void nothingElseIsBelieved() throws IOException {
    Path file = directory.resolve("scrub");
    assertNull(ScrubCursor.read(file, STORE));
    Files.createDirectory(file);
    assertNull(ScrubCursor.read(file, STORE));
    Files.delete(file);
    Files.write(file, new byte[1 << 20]);
    assertNull(ScrubCursor.read(file, STORE));
    String line = new ScrubCursor(STORE, 5, 6, 7, new byte[] {1, 2, 3}).line();
    assertNotNull(ScrubCursor.parse(line, STORE));
    assertNull(ScrubCursor.parse(line, new UUID(1, 3)));
    for (int i = 0; i < line.length(); i++) {
      for (char other : new char[] {'x', ' ', '0', (char) (line.charAt(i) ^ 1)}) {
        String changed = line.substring(0, i) + other + line.substring(i + 1);
        if (!changed.equals(line)) {
          assertNull(ScrubCursor.parse(changed, STORE), changed);
        }
      }
      assertNull(ScrubCursor.parse(line.substring(0, i), STORE));
    }
  }

  @Test
  void aPassIsDueWhenItsTimeHasComeOrItWasCutShort() {
    long now = Duration.ofDays(400).toMillis();
    ScrubCursor cursor = ScrubCursor.fresh(STORE, now);
    assertFalse(cursor.isDue(now, DAY));
    assertFalse(cursor.isDue(now + DAY.toMillis() - 1, DAY));
    assertTrue(cursor.isDue(now + DAY.toMillis(), DAY));
    assertTrue(cursor.at(new byte[] {1}, 1).isDue(now, DAY));
    assertFalse(cursor.at(new byte[] {1}, 1).completedAt(now).isDue(now, DAY));
    assertTrue(cursor.isDue(now - 1, DAY), "a clock that was set back");
  }
}
