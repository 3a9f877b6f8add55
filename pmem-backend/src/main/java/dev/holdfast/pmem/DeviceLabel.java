package dev.holdfast.pmem;

import dev.holdfast.error.FormatVersionException;
import dev.holdfast.error.InvalidImageException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.UUID;
import java.util.zip.CRC32C;

/**
 * The first bytes of a device file, in front of device offset 0: what it is and which one.
 *
 * <pre>
 *  0        8         12        16                 32       36
 *  +--------+---------+---------+------------------+--------+
 *  | magic  | version | reserve | device UUID      | CRC32C |   zero up to SIZE
 *  +--------+---------+---------+------------------+--------+
 * </pre>
 *
 * In the middle of it {@link HeartbeatFile} counts its beats; nobody reads that.
 */
record DeviceLabel(UUID id) {
  /** Bytes in front of device offset 0: a whole page, also where pages have 64 KiB. */
  static final int SIZE = 64 * 1024;

  private static final int VERSION = 1;
  private static final byte[] MAGIC = "HOLDPMEM".getBytes(StandardCharsets.US_ASCII);
  private static final int VERSION_AT = 8;
  private static final int ID_AT = 16;
  private static final int CRC_AT = 32;
  private static final int USED = 36;

  byte[] encode() {
    ByteBuffer label = ByteBuffer.allocate(SIZE).order(ByteOrder.LITTLE_ENDIAN);
    label.put(0, MAGIC);
    label.putInt(VERSION_AT, VERSION);
    label.putLong(ID_AT, id.getMostSignificantBits());
    label.putLong(ID_AT + Long.BYTES, id.getLeastSignificantBits());
    label.putInt(CRC_AT, crc(label.array()));
    return label.array();
  }

  static DeviceLabel read(int fd, long fileSize, Path file) {
    if (fileSize < SIZE) {
      throw new InvalidImageException(
          file + ": device file: expected at least " + SIZE + " bytes, was " + fileSize);
    }
    byte[] bytes = new byte[USED];
    Posix.read(fd, 0, bytes, 0, USED, file);
    ByteBuffer label = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < MAGIC.length; i++) {
      if (bytes[i] != MAGIC[i]) {
        throw new InvalidImageException(
            file + ": device label: expected magic \"HOLDPMEM\", was something else");
      }
    }
    int crc = crc(bytes);
    if (label.getInt(CRC_AT) != crc) {
      throw new InvalidImageException(
          String.format(
              "%s: device label: expected checksum %08x, was %08x",
              file, crc, label.getInt(CRC_AT)));
    }
    // Behind the checksum, whose place no version changes: a flipped bit is damage, not a version.
    int version = label.getInt(VERSION_AT);
    if (version != VERSION) {
      throw new FormatVersionException(
          file + ": device label: expected version " + VERSION + ", was " + version);
    }
    return new DeviceLabel(new UUID(label.getLong(ID_AT), label.getLong(ID_AT + Long.BYTES)));
  }

  /** Whether a file begins as a device does; its label may still be damaged. */
  static boolean isAt(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return Arrays.equals(MAGIC, in.readNBytes(MAGIC.length));
    }
  }

  private static int crc(byte[] bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, CRC_AT);
    return (int) crc.getValue();
  }
}
