package dev.holdfast;

import dev.holdfast.pmem.DurableFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How far the scrub in the background is; kept in a small file of its own, because it is only a
 * hint: what it says too much or too little costs a pass, or a part of one, and never an entry.
 *
 * <p>The file is text: {@code holdfast-scrub VERSION STORE SINCE COMPLETED LEAVES NEXT CRC32C}.
 *
 * @param store whose it is
 * @param since from when on the time to the next pass counts, in milliseconds since 1970
 * @param completed when a pass came to its end, likewise; 0 if none ever did
 * @param leavesDone how many leaves the pass that is under way has done
 * @param next the first key that it has not done; null if none is under way
 */
@SuppressWarnings("ArrayRecordComponent") // compared by nobody
record ScrubCursor(
    UUID store, long since, long completed, long leavesDone, byte @Nullable [] next) {
  private static final String MAGIC = "holdfast-scrub";
  private static final String NONE = "-";
  private static final int WORDS = 8;

  /** The longest key in hexadecimal, and the rest. */
  private static final int MOST_BYTES = 16 << 10;

  /** Of a store that nobody has scrubbed. */
  static ScrubCursor fresh(UUID store, long now) {
    return new ScrubCursor(store, now, 0, 0, null);
  }

  /** Whether a pass is under way, or one should begin. */
  boolean isDue(long now, Duration every) {
    // A clock that was set back does not put it off for ever.
    return next != null || now - since >= every.toMillis() || now < since;
  }

  /** So far is the pass. */
  ScrubCursor at(byte[] key, long done) {
    return new ScrubCursor(store, since, completed, done, key);
  }

  /** It came to its end. */
  ScrubCursor completedAt(long now) {
    return new ScrubCursor(store, now, now, 0, null);
  }

  /** Reads it; null where there is none of this store that validates. */
  static @Nullable ScrubCursor read(Path file, UUID store) {
    try {
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) > MOST_BYTES) {
        return null;
      }
      return parse(Files.readString(file, StandardCharsets.ISO_8859_1).trim(), store);
    } catch (IOException e) {
      return null;
    }
  }

  /** What a line says. */
  static @Nullable ScrubCursor parse(String line, UUID store) {
    String[] words = CheckedLine.words(line, MAGIC, WORDS);
    if (words == null || !words[2].equals(store.toString())) {
      return null;
    }
    try {
      return new ScrubCursor(
          store,
          Long.parseLong(words[3]),
          Long.parseLong(words[4]),
          Long.parseLong(words[5]),
          words[6].equals(NONE) ? null : HexFormat.of().parseHex(words[6]));
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  /** The line. */
  String line() {
    byte[] key = next;
    return CheckedLine.of(
        MAGIC,
        store.toString(),
        Long.toString(since),
        Long.toString(completed),
        Long.toString(leavesDone),
        key == null ? NONE : HexFormat.of().formatHex(key));
  }

  /** Replaces the file. */
  void write(Path file) throws IOException {
    DurableFile.replace(file, (line() + "\n").getBytes(StandardCharsets.US_ASCII));
  }
}
