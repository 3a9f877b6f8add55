package dev.holdfast.benchmarks;

import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A new directory for the files of one run, removed with all that is in it when closed, and when
 * the JVM ends before that.
 */
final class Place implements AutoCloseable {
  /** A file system in memory, where PROCESS mode has its bars. */
  static final String MEMORY = "tmpfs";

  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final Path MEMORY_INFO = Path.of("/proc/meminfo");
  private static final Pattern AVAILABLE = Pattern.compile("MemAvailable: *([0-9]+) kB");

  /** What the machine keeps for everything else, the indexes of the store included. */
  private static final long KEPT = 512L << 20;

  private final Path directory;
  private final String fileSystem;
  private final Thread atExit;

  private Place(Path directory, String fileSystem) {
    this.directory = directory;
    this.fileSystem = fileSystem;
    this.atExit = new Thread(this::delete, "remove " + directory);
  }

  /**
   * Makes a directory.
   *
   * @param parent where; null for memory in PROCESS mode and for the directory of temporary files
   *     in the others, because flushing to memory is no flushing
   * @param room the bytes that must be free there
   * @throws BadPlaceException if it cannot be used
   */
  static Place create(@Nullable Path parent, PersistenceMode mode, long room) {
    Path chosen = parent != null ? parent : standard(mode);
    Path directory;
    String type;
    try {
      if (!Files.isDirectory(chosen)) {
        throw new BadPlaceException(chosen + ": expected a directory, was none");
      }
      FileStore fileStore = Files.getFileStore(chosen);
      type = fileStore.type();
      long free = free(fileStore);
      if (free < room) {
        throw new BadPlaceException(
            "%s: expected %,d MiB of free space, was %,d MiB"
                .formatted(chosen, Math.ceilDiv(room, 1L << 20), free >> 20));
      }
      directory = Files.createTempDirectory(chosen, "holdfast-benchmark-");
    } catch (IOException e) {
      throw new BadPlaceException(chosen + ": cannot be written to: " + e, e);
    }
    Place place = new Place(directory, type);
    Runtime.getRuntime().addShutdownHook(place.atExit);
    return place;
  }

  /** A file system in memory may promise more than there is. */
  private static long free(FileStore fileStore) throws IOException {
    long free = fileStore.getUsableSpace();
    if (!fileStore.type().equals(MEMORY)) {
      return free;
    }
    try (Stream<String> lines = Files.lines(MEMORY_INFO)) {
      return lines
          .map(AVAILABLE::matcher)
          .filter(Matcher::matches)
          .mapToLong(line -> Long.parseLong(line.group(1)) << 10)
          .map(available -> Math.min(free, Math.max(0, available - KEPT)))
          .findFirst()
          .orElse(free);
    }
  }

  private static Path standard(PersistenceMode mode) {
    return mode == PersistenceMode.PROCESS && Files.isDirectory(SHARED_MEMORY)
        ? SHARED_MEMORY
        : Path.of(System.getProperty("java.io.tmpdir"));
  }

  /** Whether a run's times have bars. */
  static boolean isMemory(FailoverResult result) {
    return result.cell().persistence() == PersistenceMode.PROCESS
        && result.fileSystem().equals(MEMORY);
  }

  Path directory() {
    return directory;
  }

  /** The type of the file system, as the system calls it. */
  String fileSystem() {
    return fileSystem;
  }

  @Override
  public void close() {
    delete();
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      // The JVM is ending: the hook runs, or has run.
    }
  }

  private void delete() {
    try {
      Files.walkFileTree(
          directory,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
              Files.deleteIfExists(file);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path visited, @Nullable IOException e)
                throws IOException {
              Files.deleteIfExists(visited);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      if (Files.exists(directory)) {
        System.err.println(directory + ": cannot be removed: " + e);
      }
    }
  }

  /** A directory that a benchmark cannot use; the message says it all. */
  static final class BadPlaceException extends RuntimeException {
    private static final long serialVersionUID = 1;

    BadPlaceException(String message) {
      super(message);
    }

    BadPlaceException(String message, Throwable cause) {
      super(message, cause);
    }
  }
}
