package dev.holdfast.volume;

import dev.holdfast.error.FormatVersionException;
import dev.holdfast.error.InvalidImageException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * One leg's copy of the {@link VolumeConfig}, as bytes.
 *
 * <pre>
 *  0       8         12       16       20           28             36
 *  +-------+---------+--------+--------+------------+--------------+--------------------+
 *  | magic | version | length | CRC32C | compatible | incompatible | leg, configuration |
 *  |       |         |        |        | features   | features     |                    |
 *  +-------+---------+--------+--------+------------+--------------+--------------------+
 *                                      |&lt;----- covered by the CRC, length bytes ------&gt;|
 * </pre>
 *
 * A feature is a bit. Who does not know an incompatible one cannot read the volume; who does not
 * know a compatible one ignores it and writes it again. Bit 0 of the compatible ones: what is on
 * record of bad ranges follows behind the losses, unless who did not know it wrote last. Bit 0 of
 * the incompatible ones: the redo log of the volume is another volume, or the volume is one; which
 * of the two it is and the UUID of the other one follow right behind the losses. Bit 1 of them:
 * keys may belong to maps that have a name. Bit 2 of them: large values lie in another volume, or
 * the volume has those of another one; which of the two, and the UUID of the other one, follow
 * behind those of the log, if there is one.
 *
 * @param leg the index of the leg that it lies on
 * @param config what it says
 */
record Superblock(int leg, VolumeConfig config) {
  private static final byte[] MAGIC = "HOLDFAST".getBytes(StandardCharsets.US_ASCII);
  private static final int VERSION_AT = 8;
  private static final int LENGTH_AT = 12;
  private static final int CRC_AT = 16;
  private static final int HEADER = 20;

  /** The incompatible features that this version knows. */
  private static final long KNOWN_INCOMPATIBLE = 7;

  /** An incompatible feature: a {@link VolumeConfig.LogLink} lies behind the losses. */
  private static final long LOG_APART = 1;

  /** An incompatible feature: {@link VolumeConfig#maps}. */
  private static final long MAPS = 2;

  /** An incompatible feature: {@link VolumeConfig#bulk}. */
  private static final long BULK_APART = 4;

  /** A compatible feature: a {@link RangeHistory} lies behind the rest. */
  private static final long HISTORY = 1;

  /** Closed in order: the summary counts. */
  private static final int CLOSED = 1;

  /** {@link VolumeConfig#commits}. */
  private static final int COMMITS = 2;

  private static final int MAX_KEY = 4096 + 16;

  /** Half of what there is: reserving more never overflows. */
  private static final long MAX_SEQUENCE = Long.MAX_VALUE / 2;

  /** Roughly what a loss record may take beside its key. */
  private static final int LOSS_OVERHEAD = 40;

  private static final int ROOM_FOR_LOSSES = VolumeLayout.SUPERBLOCK_SIZE * 3 / 4;
  private static final int MAX_BAD_RANGES = 4_096;

  private static final int BAD_RANGE_SIZE = 4 + 8 + 8;

  /** What is on record of one range. */
  private static final int RECORD_SIZE = 16 + 8 + 8 + 1 + 1 + 4 + 3 * 8;

  byte[] encode() {
    VolumeConfig bounded = bounded(config);
    ByteBuffer out = ByteBuffer.allocate(mostBytes(bounded)).order(ByteOrder.LITTLE_ENDIAN);
    out.position(HEADER);
    RangeHistory history = bounded.history();
    out.putLong(bounded.compatible() | (history.records().isEmpty() ? 0 : HISTORY));
    VolumeConfig.LogLink link = bounded.log();
    // A batch may lie where a reader that does not know of it would not look; and who does not
    // know of maps would take all keys for those of one.
    VolumeConfig.BulkLink bulk = bounded.bulk();
    out.putLong(
        (link == null ? 0 : LOG_APART)
            | (bounded.maps() ? MAPS : 0)
            | (bulk == null ? 0 : BULK_APART));
    out.putInt(leg);
    putUuid(out, bounded.storeId());
    out.putLong(bounded.secret());
    out.putLong(bounded.sequence());
    putEpoch(out, bounded.epoch());
    putEpoch(out, bounded.previous());
    out.putInt(bounded.legs());
    for (int i = 0; i < bounded.legs(); i++) {
      putUuid(out, bounded.devices().get(i));
      out.put(bounded.marks().get(i).code);
      putEpoch(out, bounded.departures().get(i).epoch());
      out.putLong(bounded.departures().get(i).sequence());
    }
    out.putLong(bounded.capacity());
    out.putLong(bounded.sequenceCeiling());
    VolumeConfig.Summary summary = bounded.summary();
    out.put((byte) ((summary == null ? 0 : CLOSED) | (bounded.commits() ? COMMITS : 0)));
    out.putLong(summary == null ? 0 : summary.records());
    out.putLong(summary == null ? 0 : summary.digest());
    out.putInt(bounded.bad().size());
    for (LegRange range : bounded.bad()) {
      out.putInt(range.leg()).putLong(range.offset()).putLong(range.length());
    }
    out.putInt(bounded.losses().size());
    for (LossRecord loss : bounded.losses()) {
      putKey(out, loss.low());
      putKey(out, loss.high());
      long[] fingerprints = loss.fingerprints();
      out.putInt(fingerprints == null ? -1 : fingerprints.length);
      if (fingerprints != null) {
        for (long fingerprint : fingerprints) {
          out.putLong(fingerprint);
        }
      }
      out.putLong(loss.offset()).putLong(loss.length()).putLong(loss.watermark());
    }
    if (link != null) {
      out.put((byte) (link.isLog() ? 1 : 0));
      putUuid(out, link.other());
    }
    if (bulk != null) {
      out.put((byte) (bulk.isBulk() ? 1 : 0));
      putUuid(out, bulk.other());
    }
    if (!history.records().isEmpty()) {
      putHistory(out, history);
    }
    int end = out.position();
    out.put(0, MAGIC);
    out.putInt(VERSION_AT, VolumeLayout.FORMAT_VERSION);
    out.putInt(LENGTH_AT, end - HEADER);
    out.putInt(CRC_AT, crc(out.array(), end));
    return Arrays.copyOf(out.array(), end);
  }

  private static void putHistory(ByteBuffer out, RangeHistory history) {
    out.putInt(history.records().size());
    for (RangeRecord record : history.records()) {
      putUuid(out, record.device());
      out.putLong(record.offset()).putLong(record.length());
      out.put(RangeCodes.of(record.state())).put(RangeCodes.of(record.origin()));
      out.putInt(record.count());
      out.putLong(record.firstSeen()).putLong(record.lastSeen()).putLong(record.since());
    }
  }

  private static RangeHistory getHistory(ByteBuffer in, String where) {
    int count = bounded(in.getInt(), 0, RangeHistory.MOST, "ranges on record", where);
    List<RangeRecord> records = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      UUID device = getUuid(in);
      LegRange range = inside(new LegRange(0, in.getLong(), in.getLong()), where);
      int state = bounded(in.get(), 0, 2, "state of a range", where);
      int origin = bounded(in.get(), 0, 4, "origin of a range", where);
      records.add(
          new RangeRecord(
              device,
              range.offset(),
              range.length(),
              RangeCodes.state(state),
              RangeCodes.origin(origin),
              bounded(in.getInt(), 1, Integer.MAX_VALUE, "failures of a range", where),
              in.getLong(),
              in.getLong(),
              in.getLong()));
    }
    return RangeHistory.of(records);
  }

  /** At least what a configuration takes. */
  private static int mostBytes(VolumeConfig config) {
    int size = HEADER + 256 + config.legs() * 41 + config.bad().size() * BAD_RANGE_SIZE;
    size += config.history().records().size() * RECORD_SIZE;
    for (LossRecord loss : config.losses()) {
      byte[] high = loss.high();
      long[] fingerprints = loss.fingerprints();
      size += LOSS_OVERHEAD + loss.low().length + (high == null ? 0 : high.length);
      size += fingerprints == null ? 0 : fingerprints.length * Long.BYTES;
    }
    return size;
  }

  /**
   * Reads a superblock.
   *
   * @param where for messages
   * @throws FormatVersionException if another version wrote it, or it has an incompatible feature
   *     that is not known
   * @throws InvalidImageException if it is damaged or something else
   */
  static Superblock decode(byte[] bytes, String where) {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    if (bytes.length < HEADER || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
      throw new InvalidImageException(
          where + ": superblock: expected magic \"HOLDFAST\", was something else");
    }
    int length = in.getInt(LENGTH_AT);
    if (length < 0 || length > bytes.length - HEADER) {
      throw new InvalidImageException(
          where
              + ": superblock length: expected at most "
              + (bytes.length - HEADER)
              + ", was "
              + length);
    }
    int crc = crc(bytes, HEADER + length);
    if (in.getInt(CRC_AT) != crc) {
      throw new InvalidImageException(
          String.format(
              "%s: superblock: expected checksum %08x, was %08x", where, in.getInt(CRC_AT), crc));
    }
    // Behind the checksum, whose place no version changes: a flipped bit is damage, not a version.
    int version = in.getInt(VERSION_AT);
    if (version != VolumeLayout.FORMAT_VERSION) {
      throw new FormatVersionException(
          where
              + ": superblock: expected version "
              + VolumeLayout.FORMAT_VERSION
              + ", was "
              + version);
    }
    in.position(HEADER).limit(HEADER + length);
    try {
      return parse(in, where);
    } catch (BufferUnderflowException e) {
      throw new InvalidImageException(where + ": superblock: expected more bytes", e);
    }
  }

  private static Superblock parse(ByteBuffer in, String where) {
    long compatible = in.getLong();
    // Before anything that a feature may have changed.
    long incompatible = in.getLong();
    requireKnown(incompatible, where);
    int leg = in.getInt();
    UUID storeId = getUuid(in);
    long secret = in.getLong();
    long sequence = in.getLong();
    Epoch epoch = getEpoch(in);
    Epoch previous = getEpoch(in);
    int legs = bounded(in.getInt(), 1, VolumeLayout.MAX_LEGS, "number of legs", where);
    bounded(leg, 0, legs - 1, "leg index", where);
    List<UUID> devices = new ArrayList<>();
    List<LegMark> marks = new ArrayList<>();
    List<VolumeConfig.Departure> departures = new ArrayList<>();
    for (int i = 0; i < legs; i++) {
      devices.add(getUuid(in));
      marks.add(LegMark.ofCode(bounded(in.get(), 0, 3, "leg mark", where)));
      departures.add(new VolumeConfig.Departure(getEpoch(in), in.getLong()));
    }
    long capacity = in.getLong();
    if (capacity < VolumeLayout.RECORDS_OFFSET || capacity > VolumeLayout.MAX_CAPACITY) {
      throw new InvalidImageException(
          where
              + ": superblock capacity: expected "
              + VolumeLayout.RECORDS_OFFSET
              + " to "
              + VolumeLayout.MAX_CAPACITY
              + ", was "
              + capacity);
    }
    long ceiling = in.getLong();
    if (ceiling < 0 || ceiling > MAX_SEQUENCE) {
      throw new InvalidImageException(
          where
              + ": superblock: highest sequence: expected 0 to "
              + MAX_SEQUENCE
              + ", was "
              + ceiling);
    }
    int flags = in.get();
    boolean closed = (flags & CLOSED) != 0;
    VolumeConfig.Summary summary = new VolumeConfig.Summary(in.getLong(), in.getLong());
    int badCount = bounded(in.getInt(), 0, MAX_BAD_RANGES, "number of bad ranges", where);
    List<LegRange> bad = new ArrayList<>();
    for (int i = 0; i < badCount; i++) {
      bad.add(
          inside(
              new LegRange(
                  bounded(in.getInt(), 0, legs - 1, "leg of a bad range", where),
                  in.getLong(),
                  in.getLong()),
              where));
    }
    int lossCount =
        bounded(in.getInt(), 0, VolumeLayout.SUPERBLOCK_SIZE / LOSS_OVERHEAD * 2, "losses", where);
    List<LossRecord> losses = new ArrayList<>();
    for (int i = 0; i < lossCount; i++) {
      byte[] low = getKey(in, where);
      byte[] high = getKey(in, where);
      int count = bounded(in.getInt(), -1, in.remaining() / Long.BYTES, "lost entries", where);
      long @Nullable [] fingerprints = count < 0 ? null : new long[count];
      for (int j = 0; j < count && fingerprints != null; j++) {
        fingerprints[j] = in.getLong();
      }
      losses.add(
          new LossRecord(
              low == null ? new byte[0] : low,
              high,
              fingerprints,
              in.getLong(),
              in.getLong(),
              in.getLong()));
    }
    VolumeConfig.LogLink link = null;
    if ((incompatible & LOG_APART) != 0) {
      int isLog = bounded(in.get(), 0, 1, "kind of a log", where);
      link = new VolumeConfig.LogLink(isLog == 1, getUuid(in));
    }
    VolumeConfig.BulkLink bulk = null;
    if ((incompatible & BULK_APART) != 0) {
      int isBulk = bounded(in.get(), 0, 1, "kind of a BULK volume", where);
      bulk = new VolumeConfig.BulkLink(isBulk == 1, getUuid(in));
    }
    boolean hasHistory = (compatible & HISTORY) != 0 && in.hasRemaining();
    RangeHistory history = hasHistory ? getHistory(in, where) : RangeHistory.NONE;
    return new Superblock(
        leg,
        new VolumeConfig(
            storeId,
            secret,
            sequence,
            epoch,
            previous,
            devices,
            marks,
            departures,
            capacity,
            ceiling,
            closed ? summary : null,
            (flags & COMMITS) != 0,
            history.records().isEmpty() ? compatible : compatible & ~HISTORY,
            bad,
            losses,
            history,
            link,
            (incompatible & MAPS) != 0,
            bulk));
  }

  private static void requireKnown(long incompatible, String where) {
    long unknown = incompatible & ~KNOWN_INCOMPATIBLE;
    if (unknown != 0) {
      throw new FormatVersionException(
          String.format(
              "%s: superblock: expected incompatible features %x at most, was %x: bit %d is of"
                  + " another version",
              where, KNOWN_INCOMPATIBLE, incompatible, Long.numberOfTrailingZeros(unknown)));
    }
  }

  private static void putKey(ByteBuffer out, byte @Nullable [] key) {
    out.putInt(key == null ? -1 : key.length);
    if (key != null) {
      out.put(key);
    }
  }

  private static byte @Nullable [] getKey(ByteBuffer in, String where) {
    int length = bounded(in.getInt(), -1, MAX_KEY, "key length of a loss", where);
    if (length < 0) {
      return null;
    }
    byte[] key = new byte[length];
    in.get(key);
    return key;
  }

  /**
   * What does not fit is said more coarsely, never less: a loss without a key stands for all keys.
   */
  private static VolumeConfig bounded(VolumeConfig config) {
    List<LegRange> bad = config.bad();
    if (bad.size() > MAX_BAD_RANGES) {
      bad = Exclusions.atMost(MAX_BAD_RANGES, bad);
    }
    List<LossRecord> losses = config.losses();
    long size = 0;
    long from = Long.MAX_VALUE;
    long to = 0;
    long watermark = 0;
    for (LossRecord loss : losses) {
      byte[] high = loss.high();
      long[] fingerprints = loss.fingerprints();
      size += LOSS_OVERHEAD + loss.low().length + (high == null ? 0 : high.length);
      size += fingerprints == null ? 0 : (long) fingerprints.length * Long.BYTES;
      from = Math.min(from, loss.offset());
      to = Math.max(to, loss.offset() + loss.length());
      watermark = Math.max(watermark, loss.watermark());
    }
    if (size > ROOM_FOR_LOSSES) {
      losses = List.of(LossRecord.ofAnything(from, to - from, watermark));
    }
    VolumeConfig bare = config.withLosses(losses).withHistory(RangeHistory.NONE);
    int room = (VolumeLayout.SUPERBLOCK_SIZE - mostBytes(bare.withBad(List.of()))) / BAD_RANGE_SIZE;
    if (bad.size() > room) {
      bad = Exclusions.atMost(room, bad);
    }
    VolumeConfig coarse = bare.withBad(bad);
    // What is on record may go: it says more of what is said already.
    int left = VolumeLayout.SUPERBLOCK_SIZE - mostBytes(coarse);
    return coarse.withHistory(config.history().atMost(Math.max(0, left / RECORD_SIZE)));
  }

  private static LegRange inside(LegRange range, String where) {
    if (range.offset() < 0
        || range.length() < 0
        || range.offset() > VolumeLayout.MAX_CAPACITY - range.length()) {
      throw new InvalidImageException(
          where
              + ": superblock: a bad range: expected one inside "
              + VolumeLayout.MAX_CAPACITY
              + " bytes, was "
              + range);
    }
    return range;
  }

  private static int bounded(int value, int from, int to, String what, String where) {
    if (value < from || value > to) {
      throw new InvalidImageException(
          where + ": superblock: " + what + ": expected " + from + " to " + to + ", was " + value);
    }
    return value;
  }

  /**
   * How many bytes, in whole pages, have to be read for a superblock of which the first page was.
   */
  static int usedBytes(byte[] bytes) {
    int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(LENGTH_AT);
    boolean said =
        Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)
            && length >= 0
            && length <= VolumeLayout.SUPERBLOCK_SIZE - HEADER;
    int page = 4096;
    return said ? (HEADER + length + page - 1) / page * page : VolumeLayout.SUPERBLOCK_SIZE;
  }

  /** Makes the checksum fit again; for tests of what comes behind it. */
  static void seal(byte[] bytes) {
    ByteBuffer out = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    out.putInt(CRC_AT, crc(bytes, HEADER + out.getInt(LENGTH_AT)));
  }

  private static int crc(byte[] bytes, int end) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, CRC_AT);
    crc.update(bytes, HEADER, end - HEADER);
    return (int) crc.getValue();
  }

  private static void putUuid(ByteBuffer out, UUID id) {
    out.putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits());
  }

  private static UUID getUuid(ByteBuffer in) {
    return new UUID(in.getLong(), in.getLong());
  }

  private static void putEpoch(ByteBuffer out, Epoch epoch) {
    out.putLong(epoch.counter()).putLong(epoch.id());
  }

  private static Epoch getEpoch(ByteBuffer in) {
    return new Epoch(in.getLong(), in.getLong());
  }
}
