package dev.holdfast;

import dev.holdfast.pmem.DurableFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What says that a store is a checkpoint: a small file beside its legs.
 *
 * <p>The file is text: {@code holdfast-checkpoint VERSION STORE SEQUENCE LAST CRC32C}.
 *
 * @param of the store that it is a checkpoint of
 * @param sequence of which moment in the order of that store's writes
 * @param last the number of the last write to the checkpoint itself: if it has another one now,
 *     somebody wrote to it
 */
record CheckpointMark(UUID of, long sequence, long last) {
  private static final String FILE = "checkpoint";
  private static final String MAGIC = "holdfast-checkpoint";
  private static final int WORDS = 6;
  private static final int MOST_BYTES = 1 << 10;

  /** Reads that of a directory; null where there is none that validates. */
  static @Nullable CheckpointMark read(Path directory) throws IOException {
    Path file = directory.resolve(FILE);
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) > MOST_BYTES) {
      return null;
    }
    String line = Files.readString(file, StandardCharsets.ISO_8859_1).trim();
    String[] words = CheckedLine.words(line, MAGIC, WORDS);
    return words == null
        ? null
        : new CheckpointMark(
            UUID.fromString(words[2]), Long.parseLong(words[3]), Long.parseLong(words[4]));
  }

  /** Replaces that of a directory. */
  void write(Path directory) throws IOException {
    String line =
        CheckedLine.of(MAGIC, of.toString(), Long.toString(sequence), Long.toString(last));
    DurableFile.replace(directory.resolve(FILE), (line + "\n").getBytes(StandardCharsets.US_ASCII));
  }
}
