package dev.holdfast.pmem;

import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A device file in a recording. <b>Threads:</b> under the recorder's lock.
 *
 * @implNote {@link #mode} is known from the first time the device was opened; nothing is stored
 *     before.
 */
final class RecordedDevice {
  final int index;
  final int directory;
  final Path file;

  /** What the file held when the recording met it. Not to be changed. */
  final PagedImage base;

  /** Under which name it lay when the recording began. */
  final FilePresence atFirst;

  /** Under which name it lies now. */
  FilePresence now;

  @Nullable PersistenceMode mode;

  RecordedDevice(int index, int directory, Path file, PagedImage base, FilePresence atFirst) {
    this.index = index;
    this.directory = directory;
    this.file = file;
    this.base = base;
    this.atFirst = atFirst;
    this.now = atFirst;
  }

  String name() {
    return String.valueOf(file.getFileName());
  }

  /** What a power cut takes away from stores to this device at once: bytes that stay in order. */
  static int granule(PersistenceMode mode) {
    return switch (mode) {
      case DAX -> 64;
      case FILE -> PagedImage.PAGE;
      case PROCESS -> 0;
    };
  }
}
