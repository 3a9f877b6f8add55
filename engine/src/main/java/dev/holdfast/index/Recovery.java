package dev.holdfast.index;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import dev.holdfast.volume.VolumeLayout;
import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Finds the records of a volume at open, and makes the legs agree where a crash or damage left them
 * different.
 *
 * <p>A store that was closed in order is scanned on one leg, and that is all if what is found has
 * the digest that was taken at the close. Else every leg is scanned:
 *
 * <ul>
 *   <li>what validates on any leg is adopted on all;
 *   <li>a freed head takes the record away that it freed, on every leg: a leg that still has the
 *       record lost that write;
 *   <li>of two records of one key the higher sequence wins, the other is freed;
 *   <li>a head that validates on no leg is cut: it is zeroed everywhere, before its place is used.
 *       In a dirty region it is a put that was not acknowledged; elsewhere it may have been
 *       anything, and is named as a loss.
 * </ul>
 *
 * <p>Where a running store reads its devices again, its index says what has to be there; what is
 * not is named.
 *
 * <p><b>Threads:</b> one; no operation runs.
 */
final class Recovery {
  private static final System.Logger LOG = System.getLogger(Recovery.class.getName());
  private static final int CHUNK = 256 << 10;

  private final Volume volume;
  private final long secret;
  private final @Nullable List<RecordEntry> known;

  /**
   * @param known what the index led to before; null at the open
   */
  Recovery(Volume volume, long secret, @Nullable List<RecordEntry> known) {
    this.volume = volume;
    this.secret = secret;
    this.known = known;
  }

  /**
   * What was found.
   *
   * @param records one for each key, each whole on every leg that can be written
   * @param lost what is known to be gone
   */
  record Result(List<RecordEntry> records, List<LossRecord> lost) {}

  Result run(boolean unclean, VolumeConfig.@Nullable Summary summary) {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    if (!unclean && summary != null) {
      LegScan first = scan(set, 0);
      if (first.isWhole() && matches(first, summary)) {
        return new Result(List.copyOf(first.records.values()), List.of());
      }
    }
    return merge(set, summary);
  }

  private LegScan scan(LegSet set, int reader) {
    return new LegScan(volume, set, reader, secret).run();
  }

  private static boolean matches(LegScan scan, VolumeConfig.Summary summary) {
    long digest = 0;
    for (RecordEntry entry : scan.records.values()) {
      digest ^= entry.digest();
    }
    return scan.records.size() == summary.records() && digest == summary.digest();
  }

  private Result merge(LegSet set, VolumeConfig.@Nullable Summary summary) {
    List<LegScan> scans = new ArrayList<>();
    for (int reader = 0; reader < set.readers(); reader++) {
      scans.add(scan(set, reader));
    }
    NavigableMap<Long, RecordEntry> records = new TreeMap<>();
    NavigableMap<Long, Long> freed = new TreeMap<>();
    for (LegScan scan : scans) {
      scan.freed.forEach((offset, sequence) -> freed.merge(offset, sequence, Math::max));
      scan.records.values().forEach(entry -> adopt(records, entry));
      scan.broken.values().forEach(entry -> adopt(records, entry));
    }
    List<RecordEntry> losers = new ArrayList<>();
    records.values().removeIf(entry -> wasFreed(freed, entry, losers));
    removeOverlaps(records, losers);
    List<LossRecord> lost = new ArrayList<>();
    boolean torn = volume.allLegs().get(0).device().persistenceMode() != PersistenceMode.PROCESS;
    // What is torn was not acknowledged, and supersedes nothing; what is damaged was, and does.
    List<RecordEntry> damaged = new ArrayList<>();
    records.values().removeIf(entry -> isTorn(scans, entry, torn, losers, damaged));
    removeDuplicates(records, losers);
    for (RecordEntry entry : damaged) {
      if (records.remove(entry.offset, entry)) {
        lost.add(new LossRecord(entry.key, false, entry.offset, entry.length(), entry.sequence));
        losers.add(entry);
      }
    }
    if (known == null) {
      lookForUnnamed(set, scans, records, summary, freed, lost);
    } else {
      lookForKnown(known, records, freed, losers, lost);
    }
    if (volume.readOnlyCause() == null) {
      if (!lost.isEmpty()) {
        // Durable first: what follows takes away what they could be told by.
        volume.configure(config -> config.withLosses(Losses.with(config.losses(), lost)));
      }
      fix(set, scans, records, losers);
    }
    return new Result(List.copyOf(records.values()), lost);
  }

  private static void adopt(NavigableMap<Long, RecordEntry> records, RecordEntry entry) {
    records.merge(entry.offset, entry, (a, b) -> a.sequence >= b.sequence ? a : b);
  }

  private static boolean wasFreed(
      NavigableMap<Long, Long> freed, RecordEntry entry, List<RecordEntry> losers) {
    Long sequence = freed.get(entry.offset);
    if (sequence != null && sequence >= entry.sequence) {
      losers.add(entry);
      return true;
    }
    return false;
  }

  /** Two records at overlapping places: the older one was freed before the newer one was stored. */
  private static void removeOverlaps(
      NavigableMap<Long, RecordEntry> records, List<RecordEntry> losers) {
    RecordEntry before = null;
    for (RecordEntry entry : List.copyOf(records.values())) {
      if (before != null && before.offset + before.length() > entry.offset) {
        RecordEntry loser = before.sequence < entry.sequence ? before : entry;
        records.remove(loser.offset);
        losers.add(loser);
        before = loser == before ? entry : before;
      } else {
        before = entry;
      }
    }
  }

  private static void removeDuplicates(
      NavigableMap<Long, RecordEntry> records, List<RecordEntry> losers) {
    TreeMap<byte[], RecordEntry> byKey = new TreeMap<>(Arrays::compareUnsigned);
    for (RecordEntry entry : List.copyOf(records.values())) {
      RecordEntry other = byKey.get(entry.key);
      if (other == null) {
        byKey.put(entry.key, entry);
        continue;
      }
      RecordEntry loser = other.sequence < entry.sequence ? other : entry;
      byKey.put(entry.key, loser == other ? entry : other);
      records.remove(loser.offset);
      losers.add(loser);
    }
  }

  /** Whether a record, whose head is good and whose value validates on no leg, was never whole. */
  private boolean isTorn(
      List<LegScan> scans,
      RecordEntry entry,
      boolean mayBeTorn,
      List<RecordEntry> losers,
      List<RecordEntry> damaged) {
    boolean poisoned = false;
    for (LegScan scan : scans) {
      RecordEntry whole = scan.records.get(entry.offset);
      if (whole != null && whole.sequence == entry.sequence) {
        return false;
      }
      poisoned |= scan.touchesBadPage(entry);
    }
    // The head is stored last, so where the process died behind it the value is whole. Only a power
    // cut can have lost the value and kept the head, and only where it was not yet acknowledged.
    boolean torn = mayBeTorn && !poisoned && volume.isDirty(entry.offset);
    (torn ? losers : damaged).add(entry);
    return torn;
  }

  /** Names what was live and is neither there, nor superseded, nor freed by whoever was at it. */
  private static void lookForKnown(
      List<RecordEntry> known,
      NavigableMap<Long, RecordEntry> records,
      NavigableMap<Long, Long> freed,
      List<RecordEntry> losers,
      List<LossRecord> lost) {
    TreeMap<byte[], RecordEntry> found = new TreeMap<>(Arrays::compareUnsigned);
    records.values().forEach(entry -> found.put(entry.key, entry));
    TreeMap<byte[], Long> named = new TreeMap<>(Arrays::compareUnsigned);
    for (LossRecord record : lost) {
      byte[] key = record.key();
      if (key != null) {
        named.merge(key, record.watermark(), Math::max);
      }
    }
    for (RecordEntry entry : known) {
      RecordEntry there = found.get(entry.key);
      if (entry.isLost() || (there != null && there.sequence >= entry.sequence)) {
        continue;
      }
      boolean wasFreed = freed.getOrDefault(entry.offset, 0L) >= entry.sequence;
      boolean isNamed = named.getOrDefault(entry.key, 0L) >= entry.sequence;
      if (!wasFreed && !isNamed) {
        lost.add(new LossRecord(entry.key, false, entry.offset, entry.length(), entry.sequence));
        losers.add(entry);
      }
      if (there != null) {
        // Older than what was live: it was freed before, and a leg forgot that.
        records.remove(there.offset);
        losers.add(there);
      }
    }
  }

  /** Finds out whether something may be gone of which not even the key is known. */
  private void lookForUnnamed(
      LegSet set,
      List<LegScan> scans,
      NavigableMap<Long, RecordEntry> records,
      VolumeConfig.@Nullable Summary summary,
      NavigableMap<Long, Long> freed,
      List<LossRecord> lost) {
    long watermark = volume.config().sequenceCeiling();
    if (summary != null) {
      long missing = summary.records() - records.size() - lost.size();
      if (missing > 0) {
        lost.add(new LossRecord(null, false, 0, volume.capacity(), watermark));
      }
      return;
    }
    int pageSize = scans.get(0).pageSize;
    NavigableMap<Long, LossRecord> named = named(lost);
    TreeSet<Long> pages = new TreeSet<>();
    scans.forEach(scan -> pages.addAll(scan.lostPages));
    pages.removeIf(
        page -> page < VolumeLayout.RECORDS_OFFSET || isKnown(page, pageSize, records, named));
    for (long offset : damagedHeads(scans, records, freed, named)) {
      pages.add(offset / pageSize * pageSize);
    }
    for (long page : pages) {
      lost.add(new LossRecord(null, false, page, pageSize, watermark));
    }
    assert set.readers() == scans.size();
  }

  /**
   * Heads of records that validate on no leg, where no put was under way: they may have been
   * acknowledged. A value that looks like a head in all but the checksum, at a place that is free
   * now, cannot be told from one.
   */
  private SortedSet<Long> damagedHeads(
      List<LegScan> scans,
      NavigableMap<Long, RecordEntry> records,
      NavigableMap<Long, Long> freed,
      NavigableMap<Long, LossRecord> named) {
    NavigableMap<Long, LossRecord> namedBefore = named(volume.config().losses());
    TreeMap<Long, Long> damaged = new TreeMap<>();
    for (LegScan scan : scans) {
      scan.invalidRecords.forEach((at, sequence) -> damaged.merge(at, sequence, Math::max));
    }
    damaged
        .entrySet()
        .removeIf(head ->
            volume.isDirty(head.getKey())
                || records.containsKey(head.getKey())
                || isInside(records, head.getKey())
                || freed.containsKey(head.getKey())
                || isNamed(named, head.getKey(), head.getValue())
                || isNamed(namedBefore, head.getKey(), head.getValue()));
    return damaged.navigableKeySet();
  }

  /** The losses that have a key, by offset; of two at one place the later one. */
  private static NavigableMap<Long, LossRecord> named(List<LossRecord> lost) {
    TreeMap<Long, LossRecord> named = new TreeMap<>();
    for (LossRecord record : lost) {
      if (record.key() != null && !record.cleared()) {
        named.merge(record.offset(), record, (a, b) -> a.watermark() >= b.watermark() ? a : b);
      }
    }
    return named;
  }

  /** Whether a head is that of a loss: a later one at its place is another record's. */
  private static boolean isNamed(NavigableMap<Long, LossRecord> named, long offset, long sequence) {
    var before = named.floorEntry(offset);
    return before != null
        && offset < before.getValue().offset() + before.getValue().length()
        && sequence <= before.getValue().watermark();
  }

  /** Whether one record whose head is elsewhere covers all of a page. */
  private static boolean isKnown(
      long page,
      int pageSize,
      NavigableMap<Long, RecordEntry> records,
      NavigableMap<Long, LossRecord> named) {
    var lost = named.floorEntry(page);
    if (lost != null && lost.getValue().offset() + lost.getValue().length() >= page + pageSize) {
      return true;
    }
    var before = records.floorEntry(page);
    return before != null
        && before.getValue().offset + before.getValue().length() >= page + pageSize;
  }

  // ---------------------------------------------------------------- making the legs agree

  private void fix(
      LegSet set,
      List<LegScan> scans,
      NavigableMap<Long, RecordEntry> records,
      List<RecordEntry> losers) {
    for (RecordEntry entry : records.values()) {
      int good = -1;
      for (int reader = 0; reader < scans.size(); reader++) {
        RecordEntry there = scans.get(reader).records.get(entry.offset);
        if (there != null && there.sequence == entry.sequence) {
          good = good < 0 ? reader : good;
        }
      }
      for (int reader = 0; reader < scans.size(); reader++) {
        RecordEntry there = scans.get(reader).records.get(entry.offset);
        if (reader != good && (there == null || there.sequence != entry.sequence)) {
          copy(set, good, reader, entry);
        }
      }
    }
    for (RecordEntry loser : losers) {
      // Where a winner begins at the same place there is nothing left to free.
      if (!records.containsKey(loser.offset) && !isInside(records, loser.offset)) {
        stamp(set, loser.offset, RecordFormat.freed(secret, loser.offset, loser.sequence));
      }
    }
    TreeSet<Long> cut = new TreeSet<>();
    scans.forEach(scan -> cut.addAll(scan.invalid));
    for (long offset : cut) {
      if (!records.containsKey(offset) && !isInside(records, offset)) {
        stamp(set, offset, new byte[RecordFormat.HEADER_LENGTH]);
      }
    }
  }

  private static boolean isInside(NavigableMap<Long, RecordEntry> records, long offset) {
    var before = records.lowerEntry(offset);
    return before != null && before.getValue().offset + before.getValue().length() > offset;
  }

  private void copy(LegSet set, int from, int to, RecordEntry entry) {
    LOG.log(
        Level.DEBUG,
        "record at "
            + entry.offset
            + " is copied from leg "
            + set.legOf(from)
            + " to leg "
            + set.legOf(to));
    byte[] chunk = new byte[(int) Math.min(CHUNK, entry.used())];
    // The head last, as in a put.
    long body = Math.min(entry.used(), RecordFormat.HEADER_LENGTH + (long) entry.key.length);
    for (long at = body; at < entry.used(); at += chunk.length) {
      copyChunk(
          set, from, to, entry.offset + at, chunk, (int) Math.min(chunk.length, entry.used() - at));
    }
    for (long at = 0; at < body; at += chunk.length) {
      copyChunk(set, from, to, entry.offset + at, chunk, (int) Math.min(chunk.length, body - at));
    }
  }

  private void copyChunk(LegSet set, int from, int to, long at, byte[] chunk, int length) {
    pass(
        set,
        at,
        length,
        () -> {
          volume.load(set, from, at, chunk, 0, length);
          volume.storeTo(set, set.legOf(to), at, chunk, 0, length);
        });
  }

  private void stamp(LegSet set, long offset, byte[] head) {
    pass(set, offset, head.length, () -> volume.store(set, offset, head, 0, head.length));
  }

  private void pass(LegSet set, long offset, int length, Runnable stores) {
    try {
      volume.markDirty(set, offset, length);
      try {
        stores.run();
        Gateway.barrier();
      } catch (InternalError e) {
        throw volume.faulted(set, offset, length, e);
      }
      volume.flush(set, offset, length);
      volume.requireCurrent(set);
    } catch (DeviceFault | LegSetChanged e) {
      if (e instanceof DeviceFault fault) {
        volume.recover(fault);
      }
      throw new Disturbed(e);
    }
  }

  /** A leg was lost while the legs were made to agree: all has to be looked at again. */
  static final class Disturbed extends HoldfastException {
    private static final long serialVersionUID = 1L;

    Disturbed(RuntimeException cause) {
      super("a leg was lost while the store was opened", cause);
    }
  }

  /** Runs a recovery until no leg is lost in the middle of it. */
  static Result settle(
      Volume volume,
      long secret,
      boolean unclean,
      VolumeConfig.@Nullable Summary summary,
      @Nullable List<RecordEntry> known) {
    for (int i = 0; ; i++) {
      try {
        return new Recovery(volume, secret, known).run(unclean || i > 0, summary);
      } catch (Disturbed e) {
        if (volume.legs().readers() == 0) {
          throw new DeviceOfflineException("every leg was lost while the store was opened", e);
        }
      }
    }
  }
}
