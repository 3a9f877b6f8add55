package dev.holdfast;

import dev.holdfast.error.DumpDamagedException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads one dump. Nothing that it says is believed before its checksum was right, and no memory is
 * taken by what it says.
 */
final class DumpReader {
  /** About so many bytes are written together. */
  private static final long BATCH_BYTES = 1 << 20;

  private final InputStream in;
  private final byte[] id = new byte[DumpFormat.ID];
  private final byte[] bytes =
      new byte[DumpFormat.FRAME_HEAD + DumpFormat.PAYLOAD_MOST + DumpFormat.SUM];
  private final ByteBuffer frame = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  private final WriteBatch batch = new WriteBatch();

  /** Where the frame begins that was read last. */
  private long at;

  /** Where the next one begins. */
  private long next;

  private long number;
  private byte @Nullable [] lastKey;
  private long entries;
  private long entryBytes;
  private long imported;
  private int version;

  /** Whose entries are being read: the name of a map; null for the store's own. */
  private @Nullable String map;

  private boolean expires;
  private final Set<String> maps = new HashSet<>();

  DumpReader(InputStream in) {
    this.in = in;
  }

  /**
   * Reads all of it.
   *
   * @param into where the entries are written; null: nowhere
   */
  Dump.Summary read(@Nullable Store into) throws IOException {
    readBegin();
    if (readFrame() != DumpFormat.HEAD || payload() != DumpFormat.END_PAYLOAD) {
      throw damaged("expected the head of the dump, was another part");
    }
    while (true) {
      int type = readFrame();
      if (type == DumpFormat.END) {
        readEnd();
        write(into);
        return new Dump.Summary(entries, entryBytes);
      }
      if (type == DumpFormat.MAP && version >= DumpFormat.VERSION_WITH_MAPS) {
        write(into);
        readMap();
        continue;
      }
      if (type != DumpFormat.ENTRY) {
        throw damaged("expected an entry or the end, was a part of type " + type);
      }
      readEntry(into);
    }
  }

  private void readBegin() throws IOException {
    fill(0, DumpFormat.BEGIN);
    if (!Arrays.equals(bytes, 0, DumpFormat.MAGIC.length, DumpFormat.MAGIC, 0, 8)) {
      throw damaged("expected a dump, was something else");
    }
    version = frame.getInt(8);
    if (version != DumpFormat.VERSION && version != DumpFormat.VERSION_WITH_MAPS) {
      throw damaged(
          "expected version "
              + DumpFormat.VERSION
              + " or "
              + DumpFormat.VERSION_WITH_MAPS
              + ", was "
              + version);
    }
    System.arraycopy(bytes, DumpFormat.ID_AT, id, 0, DumpFormat.ID);
  }

  private void readMap() {
    int kind = bytes[DumpFormat.FRAME_HEAD];
    int length = payload() - 1;
    if ((kind != DumpFormat.PLAIN && kind != DumpFormat.EXPIRING) || length < 1 || length > 255) {
      throw damaged(
          "expected a map of kind 0 or 1 with a name of 1 to 255 bytes, was kind "
              + kind
              + " and "
              + length
              + " bytes");
    }
    String name = new String(bytes, DumpFormat.FRAME_HEAD + 1, length, StandardCharsets.UTF_8);
    if (!maps.add(name)) {
      throw damaged("expected each map once, was map " + name + " again");
    }
    map = name;
    expires = kind == DumpFormat.EXPIRING;
    lastKey = null;
  }

  private void readEnd() throws IOException {
    long expectedEntries = frame.getLong(DumpFormat.FRAME_HEAD);
    long expectedBytes = frame.getLong(DumpFormat.FRAME_HEAD + Long.BYTES);
    if (payload() != DumpFormat.END_PAYLOAD
        || expectedEntries != entries
        || expectedBytes != entryBytes) {
      throw damaged(
          "expected " + expectedEntries + " entries, were " + entries + ", or as many bytes");
    }
    if (in.read() >= 0) {
      throw damaged("expected nothing behind the end, was something");
    }
  }

  private void readEntry(@Nullable Store into) throws IOException {
    int keyLength = frame.getShort(DumpFormat.FRAME_HEAD) & 0xffff;
    int valueLength = frame.getInt(DumpFormat.FRAME_HEAD + 2);
    int keyAt = DumpFormat.FRAME_HEAD + DumpFormat.ENTRY_HEAD;
    int first = payload() - DumpFormat.ENTRY_HEAD - keyLength;
    if (keyLength == 0 || keyLength > Store.MAX_KEY_LENGTH) {
      throw damaged("expected a key of 1 to " + Store.MAX_KEY_LENGTH + " bytes, was " + keyLength);
    }
    if (valueLength < 0 || valueLength > Store.MAX_VALUE_LENGTH || first < 0) {
      throw damaged("expected a value of 0 to 2^30 bytes, was " + valueLength);
    }
    // What fits is in one part: so nothing is said twice, and no part is empty.
    if (first
        != Math.min(valueLength, DumpFormat.PAYLOAD_MOST - DumpFormat.ENTRY_HEAD - keyLength)) {
      throw damaged("expected a part that is full, or the whole value, was " + first + " bytes");
    }
    byte[] key = Arrays.copyOfRange(bytes, keyAt, keyAt + keyLength);
    byte[] before = lastKey;
    if (before != null && Arrays.compareUnsigned(before, key) >= 0) {
      throw damaged("expected keys to ascend, did not");
    }
    lastKey = key;
    Rest value = new Rest(keyAt + keyLength, first, valueLength);
    if (expires && valueLength < Expiry.HEADER) {
      throw damaged("expected a deadline of 8 bytes before the value, was " + valueLength);
    }
    String name = map;
    if (into != null && (first == valueLength || expires)) {
      add(into, name, key, value.readNBytes(valueLength));
    } else if (into != null) {
      write(into);
      (name == null ? into : into.map(name)).put(key, value, valueLength);
      imported++;
    } else {
      value.skipNBytes(valueLength);
    }
    entries++;
    entryBytes += keyLength + valueLength;
    if (batch.bytes() >= BATCH_BYTES) {
      write(into);
    }
  }

  private void add(Store into, @Nullable String name, byte[] key, byte[] stored) {
    if (name == null) {
      batch.put(key, stored);
    } else if (expires) {
      batch.putUntil(
          into.expiringMap(name),
          key,
          Expiry.value(stored),
          Expiry.instant(Expiry.deadline(stored)));
    } else {
      batch.put(into.map(name), key, stored);
    }
  }

  private void write(@Nullable Store into) {
    if (into != null && batch.size() > 0) {
      into.write(batch);
      imported += batch.size();
      batch.clear();
    }
  }

  /** The bytes of a value, part by part. */
  private final class Rest extends InputStream {
    private int position;
    private int there;
    private long left;

    Rest(int position, int there, long left) {
      this.position = position;
      this.there = there;
      this.left = left;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      if (there == 0) {
        int type = readFrame();
        if (type != DumpFormat.MORE || payload() != Math.min(left, DumpFormat.PAYLOAD_MOST)) {
          throw damaged("expected the next part of a value, was a part of type " + type);
        }
        position = DumpFormat.FRAME_HEAD;
        there = payload();
      }
      int n = Math.min(length, there);
      System.arraycopy(bytes, position, target, offset, n);
      position += n;
      there -= n;
      left -= n;
      return n;
    }
  }

  // ---------------------------------------------------------------- parts

  private int payload() {
    return frame.getInt(1 + Long.BYTES);
  }

  /** Reads the next part, and verifies it; its type. */
  private int readFrame() throws IOException {
    at = next;
    fill(0, DumpFormat.FRAME_HEAD);
    int length = payload();
    if (length < 0 || length > DumpFormat.PAYLOAD_MOST) {
      throw damaged(
          "expected a part of at most " + DumpFormat.PAYLOAD_MOST + " bytes, was " + length);
    }
    fill(DumpFormat.FRAME_HEAD, length + DumpFormat.SUM);
    int end = DumpFormat.FRAME_HEAD + length;
    int expected = DumpFormat.sum(id, bytes, end);
    int was = frame.getInt(end);
    if (expected != was) {
      throw damaged(String.format("expected the checksum %08x, was %08x", expected, was));
    }
    long expectedNumber = number++;
    if (frame.getLong(1) != expectedNumber) {
      throw damaged("expected part " + expectedNumber + ", was part " + frame.getLong(1));
    }
    if ((bytes[0] == DumpFormat.ENTRY && length < DumpFormat.ENTRY_HEAD)
        || (bytes[0] == DumpFormat.MAP && length < 2)
        || (bytes[0] == DumpFormat.END && length != DumpFormat.END_PAYLOAD)) {
      throw damaged("expected a whole part, was one of " + length + " bytes");
    }
    return bytes[0];
  }

  private void fill(int from, int length) throws IOException {
    int read;
    try {
      read = in.readNBytes(bytes, from, length);
    } catch (EOFException e) {
      read = 0; // A source that is packed, and was cut off.
    }
    if (read < length) {
      throw damaged("expected " + (length - read) + " bytes more, has ended");
    }
    next += read;
  }

  private DumpDamagedException damaged(String what) {
    return new DumpDamagedException(
        "dump, at byte "
            + at
            + ": "
            + what
            + (imported == 0 ? "; nothing was written" : "; " + imported + " entries were written"),
        at,
        imported);
  }
}
