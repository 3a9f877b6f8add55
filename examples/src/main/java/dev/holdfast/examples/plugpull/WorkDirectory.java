package dev.holdfast.examples.plugpull;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.LoopXfs;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The run's own directory; it is gone when the run ends, by an interrupt (Ctrl-C) as well. */
final class WorkDirectory implements AutoCloseable {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");

  private final Path path;
  private final List<LoopXfs> fileSystems = new ArrayList<>();
  private final Thread hook = new Thread(this::delete, "plug-pull clean-up");

  private WorkDirectory(Path path) {
    this.path = path;
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * @param place where to make it; null for /dev/shm where it has room, else the temporary
   *     directory
   * @param needed the bytes that will be written at most
   * @throws BadInputException if the place cannot be written or has no room
   */
  static WorkDirectory create(@Nullable Path place, long needed) {
    Path chosen = place != null ? place : defaultPlace(needed);
    if (!Files.isDirectory(chosen)) {
      throw new BadInputException(
          "--dir "
              + chosen
              + ": expected a directory, was "
              + (Files.exists(chosen) ? "something else" : "nothing there"));
    }
    try {
      Path path = Files.createTempDirectory(chosen, "plug-pull-");
      WorkDirectory work = new WorkDirectory(path);
      long room = Files.getFileStore(path).getUsableSpace();
      if (room < needed) {
        work.close();
        throw new BadInputException(
            "--dir "
                + chosen
                + ": no space: expected "
                + ByteSize.show(needed)
                + ", was "
                + ByteSize.show(room)
                + " (--size-limit takes less of the input)");
      }
      return work;
    } catch (IOException e) {
      throw new BadInputException("--dir " + chosen + ": expected a writable directory: " + e, e);
    }
  }

  private static Path defaultPlace(long needed) {
    try {
      if (Files.isWritable(SHARED_MEMORY)
          && Files.getFileStore(SHARED_MEMORY).getUsableSpace() > needed) {
        return SHARED_MEMORY;
      }
    } catch (IOException e) {
      // A place whose room cannot be told is not chosen.
    }
    return Path.of(System.getProperty("java.io.tmpdir"));
  }

  Path path() {
    return path;
  }

  /**
   * Makes a file system for each of two legs; they go with the directory.
   *
   * @param bytes the size of each
   * @throws BadInputException if that cannot be done here
   */
  synchronized void makeFileSystems(long bytes) {
    try {
      for (int leg = 0; leg < 2; leg++) {
        fileSystems.add(
            LoopXfs.make(path.resolve("leg-" + leg + ".xfs"), path.resolve("fs-" + leg), bytes));
      }
    } catch (DeviceIoException e) {
      throw new BadInputException("no file system can be made: " + e.getMessage(), e);
    }
  }

  /** The file systems, by leg; none if none were made. */
  List<LoopXfs> fileSystems() {
    return fileSystems;
  }

  /** Where the files of the legs lie of a store that has a file system for each. */
  static Path[] legsOnFileSystems(Path store) {
    return new Path[] {
      store.resolveSibling("fs-0").resolve("leg-0.pmem"),
      store.resolveSibling("fs-1").resolve("leg-1.pmem")
    };
  }

  /** Where the store lies. */
  Path store() {
    return path.resolve("store");
  }

  @Override
  public void close() {
    delete();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The JVM is going down: the hook runs, and finds nothing left to do.
    }
  }

  private synchronized void delete() {
    fileSystems.forEach(LoopXfs::close);
    if (!Files.exists(path)) {
      return;
    }
    try {
      Files.walkFileTree(
          path,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
              Files.deleteIfExists(file);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) {
              // The store renames files while it is being pulled apart; what is gone is gone.
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException e)
                throws IOException {
              Files.deleteIfExists(directory);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      System.getLogger(WorkDirectory.class.getName())
          .log(System.Logger.Level.WARNING, path + " could not be removed: " + e);
    }
  }
}
