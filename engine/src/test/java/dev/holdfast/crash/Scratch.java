package dev.holdfast.crash;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * A directory that goes when it is closed.
 *
 * @param path where it is
 */
record Scratch(Path path) implements AutoCloseable {
  static Scratch in(Path parent) {
    try {
      return new Scratch(Files.createTempDirectory(parent, "crash-"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    try (Stream<Path> files = Files.list(path)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
      Files.delete(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
