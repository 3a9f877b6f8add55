package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.pmem.DurableFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * The third vote beside two legs: a small file that knows the epoch in force, written after the
 * superblocks. A leg that was left behind finds a newer epoch there and does not open alone.
 *
 * <p>The file is text: {@code holdfast-witness VERSION STORE EPOCH-COUNTER EPOCH-ID SECRET CRC32C}.
 * The secret is there so that records can still be told from values when every superblock is gone.
 *
 * @param storeId the store
 * @param epoch the epoch in force
 * @param secret the seed of the records' checksums
 */
record Witness(UUID storeId, Epoch epoch, long secret) {
  private static final String MAGIC = "holdfast-witness";

  static Witness of(VolumeConfig config) {
    return new Witness(config.storeId(), config.epoch(), config.secret());
  }

  /** Reads the witness; empty where there is none. */
  static Optional<Witness> read(Path file) {
    String line;
    try {
      if (!Files.exists(file)) {
        return Optional.empty();
      }
      if (!Files.isRegularFile(file)) {
        // To open a pipe would wait for somebody to write to it.
        throw new InvalidImageException(file + ": expected a regular file, was something else");
      }
      if (Files.size(file) > 4_096) {
        throw new InvalidImageException(
            file + ": expected a witness of one line, was " + Files.size(file) + " bytes");
      }
      line = Files.readString(file, StandardCharsets.US_ASCII).trim();
    } catch (IOException e) {
      throw new DeviceIoException(file + ": witness cannot be read: " + e, e);
    }
    int crcAt = line.lastIndexOf(' ');
    String[] words = line.split(" ", -1);
    if (words.length != 7 || !words[0].equals(MAGIC) || !words[1].equals("1")) {
      throw new InvalidImageException(
          file + ": expected a line \"" + MAGIC + " 1 …\" of 7 words, was something else");
    }
    if (!words[6].equals(crc(line.substring(0, crcAt)))) {
      throw new InvalidImageException(
          file
              + ": witness: expected checksum "
              + crc(line.substring(0, crcAt))
              + ", was "
              + words[6]);
    }
    try {
      return Optional.of(
          new Witness(
              UUID.fromString(words[2]),
              new Epoch(Long.parseLong(words[3]), Long.parseUnsignedLong(words[4], 16)),
              Long.parseUnsignedLong(words[5], 16)));
    } catch (IllegalArgumentException e) {
      throw new InvalidImageException(
          file + ": witness: expected a UUID and numbers, was \"" + line + "\"", e);
    }
  }

  /** Makes this the witness, durably: when it returns, a crash cannot bring the former one back. */
  void write(Path file) {
    String body =
        MAGIC
            + " 1 "
            + storeId
            + " "
            + epoch.counter()
            + " "
            + Long.toHexString(epoch.id())
            + " "
            + Long.toHexString(secret);
    try {
      DurableFile.replace(
          file, (body + " " + crc(body) + "\n").getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      throw new DeviceIoException(file + ": witness cannot be written: " + e, e);
    }
  }

  private static String crc(String text) {
    CRC32C crc = new CRC32C();
    crc.update(text.getBytes(StandardCharsets.US_ASCII));
    return Long.toHexString(crc.getValue());
  }
}
