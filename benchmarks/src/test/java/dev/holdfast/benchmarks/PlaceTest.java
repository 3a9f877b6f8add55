package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PlaceTest {
  @Test
  void whatWasMadeThereIsRemovedAndNothingElse(@TempDir Path parent) throws IOException {
    Path other = Files.writeString(parent.resolve("other"), "stays");
    Path made;
    try (Place place = Place.create(parent, PersistenceMode.PROCESS, 1)) {
      made = place.directory();
      Files.writeString(Files.createDirectories(made.resolve("store/deep")).resolve("f"), "x");
    }
    assertFalse(Files.exists(made));
    assertTrue(Files.exists(other));
  }

  @Test
  void aPlaceWithoutRoomIsRefusedAndNothingIsMade(@TempDir Path parent) throws IOException {
    assertThrows(
        Place.BadPlaceException.class,
        () -> Place.create(parent, PersistenceMode.PROCESS, Long.MAX_VALUE));
    try (var children = Files.list(parent)) {
      assertEquals(0, children.count());
    }
  }

  @Test
  void fileModeIsNotMeasuredInSharedMemoryUnlessAskedTo() {
    try (Place place = Place.create(null, PersistenceMode.FILE, 1)) {
      assertFalse(place.directory().startsWith("/dev/shm"), "" + place.directory());
    }
  }
}
