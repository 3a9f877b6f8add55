package dev.holdfast;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDirFactory;

/**
 * Puts the directories of tests on /dev/shm where there is one with room: pages can be poisoned
 * there as on real memory, and a busy disk holds nothing up.
 */
public final class MemoryTempDirs implements TempDirFactory {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final long ROOM = 4L << 30;

  @Override
  public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext test)
      throws IOException {
    boolean fits =
        Files.isWritable(SHARED_MEMORY)
            && Files.getFileStore(SHARED_MEMORY).getUsableSpace() > ROOM;
    return fits
        ? Files.createTempDirectory(SHARED_MEMORY, "holdfast-test-")
        : Files.createTempDirectory("holdfast-test-");
  }
}
