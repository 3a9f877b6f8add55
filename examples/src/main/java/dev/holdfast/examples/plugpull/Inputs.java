package dev.holdfast.examples.plugpull;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Chooses the input that the command line names. */
final class Inputs {
  /** Standard input, as the value of {@code --input}. */
  static final String STANDARD_INPUT = "-";

  private Inputs() {}

  /**
   * @param chosen the value of {@code --input}; null for the files of the JDK
   * @param spool where standard input was kept, see {@link #spool}; null where it is not the input
   * @throws BadInputException if there is no such input, it is malformed, or it is empty
   */
  static Input open(@Nullable String chosen, @Nullable Path spool, long sizeLimit, long seed) {
    Input input;
    if (chosen == null) {
      // One set of edge entries on each side of the fault, so that both see the same load.
      input =
          new JoinedInput(
              "files of JDK " + Runtime.version() + " and edge entries",
              List.of(
                  new EdgeInput("first", seed), TreeInput.jdk(), new EdgeInput("last", seed + 99)),
              sizeLimit);
    } else if (chosen.equals(STANDARD_INPUT)) {
      if (spool == null) {
        throw new IllegalArgumentException("spool: expected a file, was null");
      }
      input = limited(STANDARD_INPUT, TsvInput.of(STANDARD_INPUT, spool), sizeLimit);
    } else {
      input = limited(chosen, file(chosen), sizeLimit);
    }
    if (input.count() == 0) {
      throw new BadInputException(
          "--input "
              + input.name()
              + ": expected at least one entry, was none"
              + (input.notes().isEmpty() ? "" : " (" + String.join("; ", input.notes()) + ")"));
    }
    return input;
  }

  private static Input limited(String name, Input input, long sizeLimit) {
    return new JoinedInput(name, List.of(input), sizeLimit);
  }

  private static Input file(String chosen) {
    Path path;
    try {
      path = Path.of(chosen);
    } catch (java.nio.file.InvalidPathException e) {
      throw new BadInputException("--input " + chosen + ": expected a path: " + e.getMessage(), e);
    }
    if (Files.isDirectory(path)) {
      return TreeInput.directory(path);
    }
    if (!Files.exists(path)) {
      throw new BadInputException("--input " + chosen + ": no such file or directory");
    }
    if (!Files.isReadable(path)) {
      throw new BadInputException("--input " + chosen + ": expected a readable file");
    }
    if (!Files.isRegularFile(path)) {
      throw new BadInputException(
          "--input " + chosen + ": expected a directory, a file or -, was something else");
    }
    return TsvInput.of(chosen, path);
  }

  /** Keeps standard input in a file: it cannot be read again, and overwriting needs its bytes. */
  static Path spool(InputStream in, Path directory) {
    Path file = directory.resolve("standard-input.tsv");
    try {
      Files.copy(in, file);
    } catch (IOException e) {
      throw new BadInputException("--input -: cannot be kept in " + file + ": " + e, e);
    }
    return file;
  }
}
