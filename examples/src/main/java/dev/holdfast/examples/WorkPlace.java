package dev.holdfast.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** A directory of a run, which is gone when it ends, by an interrupt (Ctrl-C) as well. */
public final class WorkPlace implements AutoCloseable {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");

  private final Path path;
  private final Thread hook;

  private WorkPlace(Path path, String name) {
    this.path = path;
    this.hook = new Thread(this::remove, name + " clean-up");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * Makes one.
   *
   * @param in where; null for shared memory where there is any, else the temporary directory
   * @param name what its name begins with
   * @throws IOException if it cannot be made
   */
  public static WorkPlace create(@Nullable Path in, String name) throws IOException {
    Path chosen = in;
    if (chosen == null) {
      chosen =
          Files.isWritable(SHARED_MEMORY)
              ? SHARED_MEMORY
              : Path.of(System.getProperty("java.io.tmpdir"));
    }
    return new WorkPlace(Files.createTempDirectory(chosen, name + "-"), name);
  }

  /** The directory. */
  public Path path() {
    return path;
  }

  private void remove() {
    try (Stream<Path> all = Files.walk(path)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        boolean _ = Files.deleteIfExists(each);
      }
    } catch (IOException e) {
      System.getLogger(WorkPlace.class.getName())
          .log(System.Logger.Level.WARNING, path + ": cannot be removed: remove it", e);
    }
  }

  @Override
  public void close() {
    remove();
    try {
      boolean _ = Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The hook runs.
    }
  }
}
