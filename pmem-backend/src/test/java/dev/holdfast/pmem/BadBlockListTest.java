package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.InvalidImageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The list of bad blocks against a model, and what a hostile file of it leads to. */
class BadBlockListTest {
  private static final int BLOCK = BadBlockList.BLOCK;
  private static final long CAPACITY = 64L * BLOCK;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private Path file() {
    return directory.resolve("device.badblocks");
  }

  private BadBlockList load() {
    return BadBlockList.load(file(), CAPACITY);
  }

  @Test
  void noFileIsAnEmptyList() {
    assertEquals(List.of(), load().ranges());
    assertFalse(load().overlaps(0, CAPACITY));
  }

  @Test
  void adjacentBlocksAreOneRange() {
    BadBlockList list = load();
    list.add(3 * BLOCK, BLOCK);
    list.add(5 * BLOCK + 100, 1);
    list.add(4 * BLOCK, 1);
    assertEquals(List.of(new BadRange(3 * BLOCK, 3 * BLOCK)), list.ranges());
    assertEquals(list.ranges(), load().ranges());
    assertFalse(list.overlaps(0, 3 * BLOCK));
    assertTrue(list.overlaps(0, 3 * BLOCK + 1));
    assertTrue(list.overlaps(6 * BLOCK - 1, 1));
    assertFalse(list.overlaps(6 * BLOCK, BLOCK));
    assertFalse(list.overlaps(4 * BLOCK, 0));
  }

  @Test
  void randomHistoryAgreesWithAModelAndSurvivesEveryReload() {
    Random random = new Random(Seed.next("BadBlockListTest"));
    BitSet model = new BitSet();
    BadBlockList list = load();
    for (int step = 0; step < 500; step++) {
      int from = random.nextInt(64);
      int count = 1 + random.nextInt(Math.min(8, 64 - from));
      if (random.nextBoolean()) {
        list.add((long) from * BLOCK, (long) count * BLOCK);
        model.set(from, from + count);
      } else {
        list.clear((long) from * BLOCK, (long) count * BLOCK);
        list.drop((long) from * BLOCK, (long) count * BLOCK);
        model.clear(from, from + count);
      }
      if (random.nextInt(8) == 0) {
        list = load();
      }
      BitSet seen = new BitSet();
      for (BadRange range : list.ranges()) {
        seen.set((int) (range.offset() / BLOCK), (int) (range.end() / BLOCK));
      }
      assertEquals(model, seen, "step " + step);
    }
  }

  @Test
  void blockIsDroppedOnlyOnceItWasCleared() {
    BadBlockList list = load();
    list.add(0, 4 * BLOCK);
    assertEquals(List.of(), list.drop(0, 4 * BLOCK));
    assertEquals(List.of(new BadRange(0, 4 * BLOCK)), list.ranges());
    list.clear(BLOCK, 2 * BLOCK);
    assertEquals(List.of(new BadRange(0, BLOCK), new BadRange(3 * BLOCK, BLOCK)), list.faulting());
    assertTrue(list.overlaps(BLOCK, 1), "a cleared block is bad until it is dropped");
    list.add(2 * BLOCK, BLOCK);
    assertEquals(List.of(new BadRange(BLOCK, BLOCK)), list.drop(0, 4 * BLOCK));
    assertEquals(
        List.of(new BadRange(0, BLOCK), new BadRange(2 * BLOCK, 2 * BLOCK)), load().ranges());
  }

  @Test
  void listThatCannotBeWrittenStaysAsItWas() throws IOException {
    BadBlockList list = load();
    list.add(0, BLOCK);
    list.clear(0, BLOCK);
    // A folder in the place of the next version of the file.
    Path fresh = Files.createDirectory(directory.resolve("device.badblocks.new"));
    assertThrows(DeviceIoException.class, () -> list.add(BLOCK, BLOCK));
    assertThrows(DeviceIoException.class, () -> list.drop(0, BLOCK));
    assertEquals(List.of(new BadRange(0, BLOCK)), list.ranges());
    Files.delete(fresh);
    assertEquals(List.of(new BadRange(0, BLOCK)), load().ranges());
    assertEquals(List.of(new BadRange(0, BLOCK)), list.drop(0, BLOCK));
    assertEquals(List.of(), load().ranges());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x",
        "",
        " ",
        "512",
        "x 512",
        "0 x",
        "-512 512",
        "0 0",
        "0 -512",
        "0 32769",
        "32768 512",
        "9223372036854775807 512",
        "512 9223372036854775807",
        "99999999999999999999 512",
        "0 512 512",
        "0 512\n\u00e9"
      })
  void hostileLineIsAnInvalidImageThatNamesTheLine(String text) throws IOException {
    Files.writeString(file(), text + "\n", StandardCharsets.UTF_8);
    InvalidImageException e = assertThrows(InvalidImageException.class, this::load);
    assertTrue(e.toString().contains("device.badblocks"), e.toString());
  }

  @Test
  @Timeout(30)
  void listThatIsNoRegularFileIsRefusedAtOnce() throws Exception {
    Files.createDirectory(file());
    assertThrows(InvalidImageException.class, this::load);
    Files.delete(file());
    assertEquals(0, new ProcessBuilder("mkfifo", file().toString()).start().waitFor());
    assertThrows(InvalidImageException.class, this::load);
  }

  @Test
  void listLargerThanAnyRealOneIsRefusedUnread() throws IOException {
    try (var sparse = new java.io.RandomAccessFile(file().toFile(), "rw")) {
      sparse.setLength(1L << 40);
    }
    assertThrows(InvalidImageException.class, this::load);
  }
}
