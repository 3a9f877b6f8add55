package dev.holdfast.pmem;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A place with little room: a file system of its own where this process may mount one, and
 * otherwise a directory together with a size that no file system has room for.
 */
record SmallPlace(Path directory, long tooMuch, boolean mounted) implements AutoCloseable {
  private static final int MIB = 1 << 20;

  static SmallPlace in(Path parent) throws IOException {
    Path directory = Files.createDirectory(parent.resolve("small"));
    boolean mounted =
        run("mount", "-t", "tmpfs", "-o", "size=1m", "holdfast-test", directory.toString());
    return new SmallPlace(directory, mounted ? 2L * MIB : 1L << 60, mounted);
  }

  @Override
  public void close() throws IOException {
    if (mounted && !run("umount", directory.toString())) {
      throw new IOException(directory + ": cannot be unmounted");
    }
  }

  private static boolean run(String... command) throws IOException {
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    return process.onExit().join().exitValue() == 0;
  }
}
