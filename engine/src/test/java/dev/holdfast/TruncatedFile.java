package dev.holdfast;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Memory of a user that is gone: a mapping whose file was truncated; every access faults. */
final class TruncatedFile {
  private TruncatedFile() {}

  static MemorySegment mapped(Path directory, long length) {
    try (FileChannel channel =
        FileChannel.open(
            directory.resolve("user-" + System.nanoTime()),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_WRITE, 0, length, Arena.ofAuto());
      channel.truncate(0);
      return mapped;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
