package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Directories that change places. */
final class DurableFileTest {
  @TempDir Path directory;

  private Path one;
  private Path other;

  @BeforeEach
  void make() throws IOException {
    one = Files.createDirectory(directory.resolve("one"));
    other = Files.createDirectory(directory.resolve("other"));
    Path _ = Files.writeString(one.resolve("file"), "first");
    Path _ = Files.writeString(other.resolve("file"), "second");
  }

  private void assertExchanged(Path former) throws IOException {
    assertEquals("second", Files.readString(former.resolve("file")));
    assertEquals("first", Files.readString(other.resolve("file")));
    try (Stream<Path> there = Files.list(directory)) {
      assertEquals(Set.of(former, other), Set.copyOf(there.toList()));
    }
  }

  @Test
  void theyChangePlacesAtOnce() throws Exception {
    assertTrue(Posix.exchange(one, other));
    assertExchanged(one);
    assertEquals(one, DurableFile.exchange(one, other));
  }

  @Test
  void theyChangePlacesWhereThatCannotBeDoneAtOnce() throws Exception {
    Path former = DurableFile.exchangeInSteps(one, other);
    assertEquals(DurableFile.aside(other), former);
    assertExchanged(former);
  }

  @Test
  void whereTheyCannotBothAreWhereTheyWere() throws Exception {
    Path none = directory.resolve("none");
    assertThrows(NoSuchFileException.class, () -> DurableFile.exchangeInSteps(none, other));
    assertEquals("second", Files.readString(other.resolve("file")));
    assertThrows(RuntimeException.class, () -> DurableFile.exchange(none, other));
    assertEquals("second", Files.readString(other.resolve("file")));
  }
}
