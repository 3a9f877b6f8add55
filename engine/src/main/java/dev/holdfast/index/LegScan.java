package dev.holdfast.index;

import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.CRC32C;

/**
 * What one leg holds: a walk over all granules, skipping the inside of records that validate.
 *
 * <p>Reads through {@link PmemDevice#read}, which knows the bad blocks: a window would fault, and a
 * bare channel would return what the medium forgot.
 */
final class LegScan {
  private static final int BUFFER = 1 << 20;

  /** A head with the longest key is always looked at in one piece. */
  private static final int LOOKAHEAD = RecordFormat.HEADER_LENGTH + RecordStore.MAX_KEY_LENGTH;

  /** Records whose head and, where it had to be looked at, value validate; by offset. */
  final TreeMap<Long, RecordEntry> records = new TreeMap<>();

  /** Records whose head validates and whose value does not, or cannot be read. */
  final TreeMap<Long, RecordEntry> broken = new TreeMap<>();

  /** The sequences of what was freed, by offset. */
  final TreeMap<Long, Long> freed = new TreeMap<>();

  /** Where something has the magic of a head and does not validate. */
  final List<Long> invalid = new ArrayList<>();

  /**
   * Those of them that are a record's in all but the checksum, and the sequence that they name.
   * Four bytes of a magic alone turn up in any large enough heap of values.
   */
  final TreeMap<Long, Long> invalidRecords = new TreeMap<>();

  /** The pages that this leg cannot serve. */
  final TreeSet<Long> badPages = new TreeSet<>();

  /** Those of them that no other leg can serve either. */
  final TreeSet<Long> lostPages = new TreeSet<>();

  final int pageSize = FaultInjector.pageSize();

  private final Volume volume;
  private final LegSet set;
  private final int reader;
  private final PmemDevice device;
  private final long secret;
  private final long end;
  private final byte[] buffer = new byte[BUFFER + LOOKAHEAD];
  private long bufferAt = -1;
  private int bufferLength;

  LegScan(Volume volume, LegSet set, int reader, long secret) {
    this.volume = volume;
    this.set = set;
    this.reader = reader;
    this.device = set.deviceOf(reader);
    this.secret = secret;
    this.end = volume.capacity();
  }

  LegScan run() {
    long at = VolumeLayout.RECORDS_OFFSET;
    while (at + RecordFormat.HEADER_LENGTH <= end) {
      at += look(at);
    }
    return this;
  }

  /** No record was ever given a sequence that was not reserved first. */
  private boolean isPossible(long sequence) {
    return sequence > 0 && sequence <= volume.config().sequenceCeiling();
  }

  /** Whether nothing was found that needs another look. */
  boolean isWhole() {
    return broken.isEmpty() && invalid.isEmpty() && badPages.isEmpty();
  }

  boolean touchesBadPage(RecordEntry entry) {
    Long page = lostPages.ceiling(entry.offset / pageSize * pageSize);
    return page != null && page < entry.offset + entry.used();
  }

  /** Looks at a granule; the bytes to go on by. */
  private long look(long at) {
    int i = load(at);
    int magic = RecordFormat.getInt(buffer, i + RecordFormat.MAGIC_AT);
    if (magic == RecordFormat.RECORD_MAGIC) {
      return lookAtRecord(at, i, false);
    }
    if (Integer.bitCount(magic ^ RecordFormat.RECORD_MAGIC) == 1) {
      // Its checksum tells whether it is a record that nobody would take for one any more.
      ByteBuffer.wrap(buffer)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(i + RecordFormat.MAGIC_AT, RecordFormat.RECORD_MAGIC);
      return lookAtRecord(at, i, true);
    }
    if (magic == RecordFormat.FREED_MAGIC) {
      if (headValidates(at, i, RecordFormat.HEADER_LENGTH)) {
        freed.put(at, RecordFormat.getLong(buffer, i + RecordFormat.SEQUENCE_AT));
      } else {
        invalid.add(at);
      }
    }
    return RecordFormat.GRANULE;
  }

  private long lookAtRecord(long at, int i, boolean damaged) {
    int keyLength = RecordFormat.getInt(buffer, i + RecordFormat.KEY_LENGTH_AT);
    int valueLength = RecordFormat.getInt(buffer, i + RecordFormat.VALUE_LENGTH_AT);
    long sequence = RecordFormat.getLong(buffer, i + RecordFormat.SEQUENCE_AT);
    boolean plausible =
        keyLength >= 1
            && keyLength <= RecordStore.MAX_KEY_LENGTH
            && valueLength >= 0
            && valueLength <= RecordStore.MAX_VALUE_LENGTH
            && RecordFormat.extentLength(keyLength, valueLength) <= end - at
            && isPossible(sequence);
    if (!plausible || !headValidates(at, i, RecordFormat.HEADER_LENGTH + keyLength)) {
      if (!damaged) {
        invalid.add(at);
      }
      if (!damaged && plausible) {
        invalidRecords.put(at, sequence);
      }
      return RecordFormat.GRANULE;
    }
    byte[] key =
        Arrays.copyOfRange(
            buffer, i + RecordFormat.HEADER_LENGTH, i + RecordFormat.HEADER_LENGTH + keyLength);
    RecordEntry entry = new RecordEntry(key, at, sequence, valueLength);
    int valueCrc = RecordFormat.getInt(buffer, i + RecordFormat.VALUE_CRC_AT);
    boolean whole = !damaged && (!needsLook(entry) || valueValidates(entry, valueCrc));
    (whole ? records : broken).put(at, entry);
    return entry.length();
  }

  /** What may differ between legs, and what lies on a bad page, is read as a whole. */
  private boolean needsLook(RecordEntry entry) {
    if (!set.canRead(reader, entry.offset, entry.used())) {
      return true;
    }
    for (long at = entry.offset; at < entry.offset + entry.used(); at += VolumeLayout.REGION_SIZE) {
      if (volume.isDirty(at)) {
        return true;
      }
    }
    return volume.isDirty(entry.offset + entry.used() - 1);
  }

  private boolean headValidates(long at, int i, int length) {
    return RecordFormat.getInt(buffer, i + RecordFormat.CRC_AT)
        == RecordFormat.headCrc(secret, at, buffer, i, length);
  }

  private boolean valueValidates(RecordEntry entry, int expected) {
    CRC32C crc = new CRC32C();
    byte[] chunk = new byte[Math.min(BUFFER, Math.max(1, entry.valueLength))];
    long from = entry.offset + RecordFormat.HEADER_LENGTH + entry.key.length;
    for (int done = 0; done < entry.valueLength; done += chunk.length) {
      int n = Math.min(chunk.length, entry.valueLength - done);
      loadAround(from + done, chunk, n);
      crc.update(chunk, 0, n);
    }
    return (int) crc.getValue() == expected;
  }

  /** Makes the buffer hold a head at {@code at}; where in it. */
  private int load(long at) {
    boolean there =
        bufferAt >= 0 && at >= bufferAt && Math.min(at + LOOKAHEAD, end) <= bufferAt + bufferLength;
    if (!there) {
      bufferAt = at;
      bufferLength = (int) Math.min(buffer.length, end - at);
      loadAround(at, buffer, bufferLength);
    }
    return (int) (at - bufferAt);
  }

  /**
   * Reads a range; a page that this leg cannot serve comes from one that can, so that a record is
   * found whose pages are on no leg together. Where there is none, it is zero.
   */
  private void loadAround(long from, byte[] target, int length) {
    Arrays.fill(target, 0, length, (byte) 0);
    if (set.canRead(reader, from, length)) {
      try {
        device.read(from, target, 0, length);
        return;
      } catch (PoisonedRangeException e) {
        // Page by page, below.
      }
    }
    long last = from + length;
    for (long at = from; at < last; ) {
      long next = Math.min(last, (at / pageSize + 1) * pageSize);
      // A page that the volume knows as bad may be readable, and hold what was there long ago.
      if (!set.canRead(reader, at, next - at)
          || !readPage(reader, at, target, (int) (at - from), (int) (next - at))) {
        badPages.add(at / pageSize * pageSize);
        readElsewhere(at, target, (int) (at - from), (int) (next - at));
      }
      at = next;
    }
  }

  private void readElsewhere(long at, byte[] target, int index, int length) {
    for (int other = 0; other < set.readers(); other++) {
      if (other != reader
          && set.canRead(other, at, length)
          && readPage(other, at, target, index, length)) {
        return;
      }
    }
    lostPages.add(at / pageSize * pageSize);
  }

  private boolean readPage(int from, long at, byte[] target, int index, int length) {
    try {
      set.deviceOf(from).read(at, target, index, length);
      return true;
    } catch (PoisonedRangeException e) {
      Arrays.fill(target, index, index + length, (byte) 0);
      return false;
    }
  }
}
