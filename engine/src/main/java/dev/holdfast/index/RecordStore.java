package dev.holdfast.index;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.LossRecord;
import dev.holdfast.volume.TimedLock;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import dev.holdfast.volume.VolumeLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Records with checksums on a {@link Volume}, and an ordered index over them in DRAM that is
 * rebuilt at open.
 *
 * <h2>Invariants</h2>
 *
 * <ol>
 *   <li>A record that validates on a leg at a place that nothing freed is live. So the index is a
 *       function of the devices.
 *   <li>A key has one record, but for the moment between the store of a new one and the freeing of
 *       the old one; then the higher sequence wins. Both happen under the key's lock, and before
 *       the put is acknowledged.
 *   <li>An extent is given to the allocator only when its record is freed on every leg of the write
 *       set, and disowned in the reverse map.
 *   <li>The index changes only behind the barrier of what it will point at, with the leg set
 *       unchanged.
 * </ol>
 *
 * <p><b>Lock order:</b> a key's stripe, then what {@link Volume} says. Growth, failover and naming
 * of losses begin with no lock held; inside {@code changingLosses} only the volume's failover is
 * locked.
 */
public final class RecordStore {
  /** The longest key, in bytes. */
  public static final int MAX_KEY_LENGTH = 4096;

  /** The longest value, in bytes. */
  public static final int MAX_VALUE_LENGTH = 1 << 30;

  private static final int STRIPES = 256;
  private static final int CHUNK = 256 << 10;

  /** Growth doubles the volume, but takes no larger steps than this. */
  private static final long GROWTH_STEP_LIMIT = 256L << 20;

  private static final long GROWTH_UNIT = 1L << 20;

  /** A memory fault that no leg explains comes from the caller's memory, or from nowhere. */
  private static final int UNEXPLAINED_LIMIT = 3;

  private final Volume volume;
  private final ReverseMap reverseMap;
  private final long maxCapacity;
  private final ReentrantLock[] stripes = new ReentrantLock[STRIPES];
  private final AtomicLong sequence;
  private final AtomicLong entries = new AtomicLong();
  private final ExtentAllocator allocator;
  private final long secret;

  /** Extents that cannot be used while a page of them is bad on every leg. */
  private final ConcurrentLinkedQueue<RecordEntry> quarantine = new ConcurrentLinkedQueue<>();

  /** Told of places where a leg's bytes did not validate and another leg's did. */
  private final DamageListener damage;

  /** Replaced as a whole when it is built anew; until then the former one answers. */
  private volatile ConcurrentSkipListMap<byte[], RecordEntry> index =
      new ConcurrentSkipListMap<>(Arrays::compareUnsigned);

  /**
   * Counts how often the index was built. It changes only while no operation is under way; what an
   * operation took from the allocator before belongs to nobody then.
   */
  private final AtomicInteger generation = new AtomicInteger();

  /** Makes a change of the loss records, and the taking up of what they are then, one. */
  private final ReentrantLock changingLosses = new ReentrantLock();

  /** Changed under {@link #changingLosses}. */
  private volatile Losses losses;

  private volatile boolean closed;

  /** While the index is built anew under a running store, every operation is offline. */
  private volatile boolean suspended;

  /** Is told that bytes of a leg are wrong, though they can be read. */
  public interface DamageListener {
    /** The record at {@code [offset, offset + length)} does not validate on {@code leg}. */
    void damaged(int leg, long offset, long length);
  }

  /** What to do with a key, depending on what it has. */
  public enum Condition {
    /** Always. */
    ANY,
    /** Only if it has no value. */
    ABSENT,
    /** Only if it has a value. */
    PRESENT,
    /** Only if its value equals the expected one. */
    EQUAL
  }

  /**
   * @param volume where the records lie
   * @param reverseMap is kept in step
   * @param maxCapacity the bytes that the volume may grow to
   * @param nextSequence the first sequence that no record has
   * @param damage is told of damaged copies
   */
  public RecordStore(
      Volume volume,
      ReverseMap reverseMap,
      long maxCapacity,
      long nextSequence,
      DamageListener damage) {
    this.volume = volume;
    this.reverseMap = reverseMap;
    this.maxCapacity = VolumeLayout.wholePages(maxCapacity);
    this.sequence = new AtomicLong(nextSequence);
    this.damage = damage;
    this.secret = volume.config().secret();
    this.allocator = new ExtentAllocator(VolumeLayout.RECORDS_OFFSET);
    this.losses = new Losses(volume.config().losses());
    for (int i = 0; i < STRIPES; i++) {
      stripes[i] = new ReentrantLock();
    }
  }

  // ---------------------------------------------------------------- opening

  /**
   * Builds the index from the devices, and reconciles the legs where they may differ.
   *
   * @param unclean whether the store was not closed in order
   * @param summary what the records were, if it was
   */
  public void recover(boolean unclean, VolumeConfig.@Nullable Summary summary) {
    // Where the devices are read again, memory knows what has to be there.
    List<RecordEntry> known = generation.get() == 0 ? null : List.copyOf(index.values());
    Recovery.Result result = Recovery.settle(volume, secret, unclean, summary, known);
    List<RecordEntry> found = new ArrayList<>(result.records());
    found.sort((a, b) -> Long.compare(a.offset, b.offset));
    for (RecordEntry entry : index.values()) {
      if (!entry.isLost()) {
        reverseMap.disown(entry);
      }
    }
    quarantine.clear();
    generation.incrementAndGet();
    long capacity = volume.capacity();
    allocator.restart(capacity);
    ConcurrentSkipListMap<byte[], RecordEntry> fresh =
        new ConcurrentSkipListMap<>(Arrays::compareUnsigned);
    long at = VolumeLayout.RECORDS_OFFSET;
    long highest = 0;
    for (RecordEntry entry : found) {
      allocator.free(at, entry.offset - at);
      at = entry.offset + entry.length();
      highest = Math.max(highest, entry.sequence);
      fresh.put(entry.key, entry);
      reverseMap.own(entry);
    }
    allocator.free(at, capacity / RecordFormat.GRANULE * RecordFormat.GRANULE - at);
    sequence.accumulateAndGet(highest + 1, Math::max);
    takeUpLosses(fresh, result.lost());
    index = fresh;
    entries.set(fresh.size());
  }

  private void takeUpLosses(
      ConcurrentSkipListMap<byte[], RecordEntry> map, List<LossRecord> fresh) {
    List<LossRecord> records = new ArrayList<>();
    for (LossRecord record : Losses.with(volume.config().losses(), fresh)) {
      byte[] key = record.key();
      RecordEntry entry = key == null ? null : map.get(key);
      if (key != null && entry != null && entry.sequence > record.watermark()) {
        continue; // written since
      }
      records.add(record);
      if (key != null && !record.cleared() && entry == null) {
        map.put(key, RecordEntry.lost(key, record.watermark()));
      }
    }
    changingLosses.lock();
    try {
      if (!records.equals(volume.config().losses()) && volume.readOnlyCause() == null) {
        volume.configure(config -> config.withLosses(records));
      }
      losses = new Losses(records);
    } finally {
      changingLosses.unlock();
    }
  }

  /** Changes the loss records, durably first. */
  private void changeLosses(UnaryOperator<List<LossRecord>> change) {
    changingLosses.lock();
    try {
      volume.configure(config -> config.withLosses(change.apply(config.losses())));
      losses = new Losses(volume.config().losses());
    } finally {
      changingLosses.unlock();
    }
  }

  // ---------------------------------------------------------------- reading

  /** The value of a key, or null. */
  public byte @Nullable [] get(byte[] key) {
    requireKey(key);
    while (true) {
      RecordEntry entry = index.get(key);
      if (entry == null) {
        requireServed();
        if (losses.mayHold(key)) {
          throw lost(key);
        }
        return null;
      }
      byte[] value = readValue(entry);
      if (value != null) {
        return value;
      }
    }
  }

  /**
   * Copies the value of a key to memory anywhere, in pieces: it takes no heap in proportion.
   *
   * @return its length, or -1 if there is none; where it is larger than {@code into} nothing was
   *     copied
   */
  public long get(byte[] key, MemorySegment into) {
    requireKey(key);
    while (true) {
      RecordEntry entry = index.get(key);
      if (entry == null || entry.isLost()) {
        // Both are answered, or refused, in one place.
        byte[] value = get(key);
        if (value == null) {
          return -1;
        }
        continue;
      }
      if (entry.valueLength > into.byteSize()) {
        return entry.valueLength;
      }
      if (operate(() -> copyAnyLeg(entry, into))) {
        return entry.valueLength;
      }
      if (index.get(key) == entry) {
        // Not whole on any one leg: read it under the key's lock, or have it named as lost.
        byte[] value = readValue(entry);
        if (value != null) {
          copyOut(value, value.length, into, 0);
          return value.length;
        }
      }
    }
  }

  private boolean copyAnyLeg(RecordEntry entry, MemorySegment into) {
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    byte[] head = new byte[RecordFormat.HEADER_LENGTH + entry.key.length];
    byte[] chunk = new byte[Math.min(CHUNK, entry.valueLength)];
    for (int reader = 0; reader < set.readers(); reader++) {
      if (set.canRead(reader, entry.offset, entry.used())
          && copyFrom(set, reader, entry, head, chunk, into)) {
        volume.countRead(set, reader);
        return true;
      }
    }
    return false;
  }

  private boolean copyFrom(
      LegSet set, int reader, RecordEntry entry, byte[] head, byte[] chunk, MemorySegment into) {
    loadChecked(set, reader, entry.offset, head, head.length);
    CRC32C crc = new CRC32C();
    for (int from = 0; from < entry.valueLength; from += chunk.length) {
      int n = Math.min(chunk.length, entry.valueLength - from);
      loadChecked(set, reader, entry.offset + head.length + from, chunk, n);
      crc.update(chunk, 0, n);
      copyOut(chunk, n, into, from);
    }
    return headValidates(entry, head)
        && RecordFormat.getInt(head, RecordFormat.VALUE_CRC_AT) == ValueSource.crc(crc);
  }

  private void loadChecked(LegSet set, int reader, long offset, byte[] target, int length) {
    try {
      volume.load(set, reader, offset, target, 0, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, offset, length, e);
    }
  }

  /** Copies to the caller's memory, which may fault, too: that is no fault of a leg. */
  private static void copyOut(byte[] bytes, int length, MemorySegment into, long at) {
    try {
      MemorySegment.copy(bytes, 0, into, ValueLayout.JAVA_BYTE, at, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory that was passed in for the value faults", e);
    }
  }

  /** Whether a key has a value. */
  public boolean containsKey(byte[] key) {
    requireKey(key);
    requireServed();
    RecordEntry entry = index.get(key);
    if (entry == null ? losses.mayHold(key) : entry.isLost()) {
      throw lost(key);
    }
    return entry != null;
  }

  /** The first entry at or behind a key, in either direction; null if there is none. */
  public Map.@Nullable Entry<byte[], byte[]> step(
      byte @Nullable [] from, boolean inclusive, boolean reverse, MappingHandle handle) {
    while (true) {
      requireServed();
      Map.Entry<byte[], RecordEntry> found = neighbour(from, inclusive, reverse);
      if (found == null) {
        return null;
      }
      RecordEntry entry = found.getValue();
      if (entry.isLost()) {
        throw new LostOnTheWay(entry.key, lost(entry.key));
      }
      long pin = reverseMap.pin(entry.offset, entry.length(), handle);
      byte[] value;
      try {
        value = readValue(entry);
      } catch (DataLostException e) {
        throw new LostOnTheWay(entry.key, e);
      } finally {
        reverseMap.unpin(pin);
      }
      if (value != null) {
        return Map.entry(entry.key, value);
      }
    }
  }

  /** A lost entry that a scan came to. */
  public static final class LostOnTheWay extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final transient byte[] key;
    private final DataLostException error;

    LostOnTheWay(byte[] key, DataLostException error) {
      super(error.getMessage(), error, false, false);
      this.key = key;
      this.error = error;
    }

    /** The key of the lost entry, so that the scan can go on behind it. */
    public byte[] key() {
      return key.clone();
    }

    /** What to tell the user. */
    public DataLostException error() {
      return error;
    }
  }

  private Map.@Nullable Entry<byte[], RecordEntry> neighbour(
      byte @Nullable [] from, boolean inclusive, boolean reverse) {
    if (from == null) {
      return reverse ? index.lastEntry() : index.firstEntry();
    }
    if (reverse) {
      return inclusive ? index.floorEntry(from) : index.lowerEntry(from);
    }
    return inclusive ? index.ceilingEntry(from) : index.higherEntry(from);
  }

  /** Whether a scan may miss entries that were lost without a name. */
  public void requireNothingUnnamedLost() {
    if (losses.mayHold(new byte[0])) {
      throw new DataLostException(
          "entries were lost whose keys are not known; a scan cannot tell which are missing");
    }
  }

  /** Pins the record of a key for the time of a scoped read. */
  public long pin(byte[] key, MappingHandle handle) {
    RecordEntry entry = index.get(key);
    return entry == null || entry.isLost()
        ? reverseMap.pin(VolumeLayout.RECORDS_OFFSET, 1, handle)
        : reverseMap.pin(entry.offset, entry.length(), handle);
  }

  /** The value of an entry; null if the key has another entry now. */
  private byte @Nullable [] readValue(RecordEntry entry) {
    byte[] value = operate(() -> readAnyLeg(entry));
    if (value != null) {
      return value;
    }
    if (index.get(entry.key) != entry) {
      return null;
    }
    // A second look with no writer in between: only now is it damage.
    byte[] looked =
        operate(() -> {
          ReentrantLock stripe = lock(entry.key);
          try {
            return index.get(entry.key) != entry ? null : readAnyLeg(entry);
          } finally {
            stripe.unlock();
          }
        });
    if (looked != null || index.get(entry.key) != entry) {
      return looked;
    }
    if (volume.legs().readers() == 0) {
      throw volume.offline();
    }
    nameLost(entry);
    throw lost(entry.key);
  }

  private byte @Nullable [] readAnyLeg(RecordEntry entry) {
    if (entry.isLost()) {
      throw lost(entry.key);
    }
    LegSet set = volume.legs();
    if (set.readers() == 0) {
      throw volume.offline();
    }
    byte[] head = new byte[RecordFormat.HEADER_LENGTH + entry.key.length];
    byte[] value = new byte[entry.valueLength];
    int mismatched = -1;
    boolean excluded = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (!set.canRead(reader, entry.offset, entry.used())) {
        excluded = true;
        continue;
      }
      try {
        volume.load(set, reader, entry.offset, head, 0, head.length);
        volume.load(set, reader, entry.offset + head.length, value, 0, value.length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw volume.faulted(set, entry.offset, entry.used(), e);
      }
      if (validates(entry, head, value)) {
        volume.countRead(set, reader);
        if (mismatched >= 0 && index.get(entry.key) == entry) {
          damage.damaged(set.legOf(mismatched), entry.offset, entry.length());
        }
        return value;
      }
      mismatched = reader;
    }
    if (excluded && assemble(set, entry, head, value)) {
      return value;
    }
    return readUnderRepair(set, entry, head, value) ? value : null;
  }

  /** A copy that is being made may be there already, though nobody is led to it yet. */
  private boolean readUnderRepair(LegSet set, RecordEntry entry, byte[] head, byte[] value) {
    long at = entry.offset + head.length;
    for (int writer = 0; writer < set.writers(); writer++) {
      if (volume.assembleFromWriter(set, writer, entry.offset, head, 0, head.length)
          && volume.assembleFromWriter(set, writer, at, value, 0, value.length)
          && validates(entry, head, value)) {
        return true;
      }
    }
    return false;
  }

  private boolean assemble(LegSet set, RecordEntry entry, byte[] head, byte[] value) {
    return volume.assemble(set, entry.offset, head, 0, head.length)
        && volume.assemble(set, entry.offset + head.length, value, 0, value.length)
        && validates(entry, head, value);
  }

  private boolean validates(RecordEntry entry, byte[] head, byte[] value) {
    return headValidates(entry, head)
        && RecordFormat.getInt(head, RecordFormat.VALUE_CRC_AT)
            == RecordFormat.crc(value, 0, value.length);
  }

  private boolean headValidates(RecordEntry entry, byte[] head) {
    return RecordFormat.getInt(head, RecordFormat.MAGIC_AT) == RecordFormat.RECORD_MAGIC
        && RecordFormat.getLong(head, RecordFormat.SEQUENCE_AT) == entry.sequence
        && RecordFormat.getInt(head, RecordFormat.VALUE_LENGTH_AT) == entry.valueLength
        && RecordFormat.getInt(head, RecordFormat.CRC_AT)
            == RecordFormat.headCrc(secret, entry.offset, head, 0, head.length)
        && Arrays.equals(
            head, RecordFormat.HEADER_LENGTH, head.length, entry.key, 0, entry.key.length);
  }

  // ---------------------------------------------------------------- writing

  /** What a put carries from one attempt to the next. */
  private static final class Put {
    final byte[] key;
    final ValueSource value;
    final Condition condition;
    final byte @Nullable [] expected;
    final long length;
    long offset = ExtentAllocator.NONE;
    int generation;

    /** The sequences that were used at {@code offset}: the first and the last; 0 if none was. */
    long firstSequence;

    long sequence;
    boolean healed;
    boolean overwrote;
    long needed;

    /** The record that is only given another place, if it still is the record of the key. */
    @Nullable RecordEntry moving;

    Put(byte[] key, ValueSource value, Condition condition, byte @Nullable [] expected) {
      this.key = key;
      this.value = value;
      this.condition = condition;
      this.expected = expected;
      this.length = RecordFormat.extentLength(key.length, value.length());
    }

    /** Whether an entry is what an attempt stored: nobody else used its place in between. */
    boolean isAdopted(@Nullable RecordEntry entry) {
      return entry != null
          && sequence > 0
          && entry.offset == offset
          && entry.sequence >= firstSequence
          && entry.sequence <= sequence;
    }
  }

  /** Sets the value of a key if the condition holds; whether it did. */
  boolean put(byte[] key, ValueSource value, Condition condition, byte @Nullable [] expected) {
    requireKey(key);
    if (value.length() > MAX_VALUE_LENGTH) {
      throw new IllegalArgumentException(
          "value: expected at most " + MAX_VALUE_LENGTH + " bytes, was " + value.length());
    }
    Put put = new Put(key.clone(), value, condition, expected);
    boolean applied = false;
    try {
      while (true) {
        put.needed = 0;
        applied = operate(() -> tryPut(put));
        if (put.needed == 0) {
          break;
        }
        grow(put.needed);
      }
    } finally {
      if (!applied && put.offset != ExtentAllocator.NONE) {
        abandon(put);
      }
    }
    if (applied && put.healed) {
      heal(key, false, put.sequence);
    }
    if (applied && put.overwrote && allocator.isShort()) {
      moveOutOfReserve(put.key);
    }
    return applied;
  }

  /**
   * Moves a record to a smaller place where there is one. An overwrite that fitted nowhere else
   * used what is kept back for overwrites; its old place is free now, and what is kept back must
   * not be used up bit by bit.
   */
  private void moveOutOfReserve(byte[] key) {
    RecordEntry entry = index.get(key);
    if (entry == null || entry.isLost()) {
      return;
    }
    try {
      byte[] value = readValue(entry);
      if (value == null) {
        return; // overwritten again
      }
      Put move = new Put(key, new ValueSource.OfArray(value), Condition.ANY, null);
      move.moving = entry;
      boolean moved = false;
      try {
        moved = operate(() -> tryPut(move));
      } finally {
        if (!moved && move.offset != ExtentAllocator.NONE) {
          abandon(move);
        }
      }
    } catch (HoldfastException e) {
      // The put itself is done, and stays so.
    }
  }

  /** Sets the value of a key from an array; whether the condition held. */
  public boolean put(byte[] key, byte[] value, Condition condition, byte @Nullable [] expected) {
    return put(key, new ValueSource.OfArray(value), condition, expected);
  }

  /** Sets the value of a key from memory anywhere. */
  public void put(byte[] key, MemorySegment value) {
    if (value.byteSize() > MAX_VALUE_LENGTH) {
      throw new IllegalArgumentException(
          "value: expected at most " + MAX_VALUE_LENGTH + " bytes, was " + value.byteSize());
    }
    put(key, new ValueSource.OfSegment(value), Condition.ANY, null);
  }

  private boolean tryPut(Put put) {
    ReentrantLock stripe = lock(put.key);
    try {
      LegSet set = volume.writableLegs();
      RecordEntry old = index.get(put.key);
      if (put.isAdopted(old)) {
        // The index was built anew, and found on the devices what the last attempt stored there.
        put.offset = ExtentAllocator.NONE;
        return true;
      }
      if ((put.moving != null && put.moving != old) || !holds(put, old)) {
        return false;
      }
      if (put.generation != generation.get()) {
        // The index was built anew since the last attempt, and its extent given back with it.
        put.generation = generation.get();
        put.offset = ExtentAllocator.NONE;
        put.sequence = 0;
      }
      if (put.offset != ExtentAllocator.NONE && !volume.isStorable(set, put.offset, put.length)) {
        // A page of it is bad everywhere: it waits for repair, the record goes elsewhere. What was
        // stored may be whole when the page is: nothing would ever free it then.
        if (put.sequence > 0) {
          storeFreed(set, put.offset, put.sequence);
          volume.requireCurrent(set);
        }
        quarantine.add(new RecordEntry(put.key, put.offset, 0, put.value.length()));
        put.offset = ExtentAllocator.NONE;
        put.sequence = 0;
      }
      while (put.offset == ExtentAllocator.NONE) {
        long offset =
            put.moving == null
                ? allocator.allocate(put.length, old != null)
                : allocator.allocateBesideLargest(put.length);
        if (offset == ExtentAllocator.NONE) {
          put.needed = put.moving == null ? put.length : 0;
          return false;
        }
        if (volume.isStorable(set, offset, put.length)) {
          put.offset = offset;
        } else {
          quarantine.add(new RecordEntry(put.key, offset, 0, put.value.length()));
        }
      }
      RecordEntry fresh = new RecordEntry(put.key, put.offset, nextSequence(), put.value.length());
      put.firstSequence = put.sequence == 0 ? fresh.sequence : put.firstSequence;
      put.sequence = fresh.sequence;
      storeRecord(set, fresh, put.value);
      volume.requireCurrent(set);
      // Stored on every leg, and none was lost meanwhile: from here on it is the value. Only now is
      // the old record freed: until then readers may still be led to it.
      reverseMap.own(fresh);
      index.put(fresh.key, fresh);
      put.offset = ExtentAllocator.NONE;
      put.healed = (old != null && old.isLost()) || losses.isCleared(put.key);
      if (old == null) {
        entries.incrementAndGet();
      } else {
        put.overwrote = true;
        freeOnDevices(old);
        release(old);
      }
      return true;
    } finally {
      stripe.unlock();
    }
  }

  private boolean holds(Put put, @Nullable RecordEntry old) {
    boolean maybeLost = old == null ? losses.mayHold(put.key) : old.isLost();
    if (put.condition != Condition.ANY && maybeLost) {
      throw lost(put.key);
    }
    return switch (put.condition) {
      case ANY -> true;
      case ABSENT -> old == null;
      case PRESENT -> old != null;
      case EQUAL -> {
        byte[] value = old == null ? null : readAnyLeg(old);
        if (old != null && value == null) {
          throw lost(put.key);
        }
        yield value != null && Arrays.equals(value, put.expected);
      }
    };
  }

  private void storeRecord(LegSet set, RecordEntry entry, ValueSource value) {
    volume.markDirty(set, entry.offset, entry.used());
    long locked = volume.lockRegions(set, entry.offset, entry.used());
    try {
      CRC32C crc = new CRC32C();
      byte[] chunk = new byte[Math.min(CHUNK, value.length())];
      long at = entry.offset + RecordFormat.HEADER_LENGTH + entry.key.length;
      for (int from = 0; from < value.length(); from += chunk.length) {
        int n = Math.min(chunk.length, value.length() - from);
        // Copied once, then checked and stored from the copy: the caller may change the original.
        value.copy(from, chunk, n);
        crc.update(chunk, 0, n);
        volume.store(set, at + from, chunk, 0, n);
      }
      byte[] head =
          RecordFormat.head(
              secret,
              entry.offset,
              entry.sequence,
              entry.key,
              value.length(),
              ValueSource.crc(crc));
      // The head last: where it is, the value is, whenever the process dies.
      VarHandle.releaseFence();
      volume.store(set, entry.offset, head, 0, head.length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, entry.offset, entry.used(), e);
    } finally {
      volume.unlockRegions(locked);
    }
    volume.flush(set, entry.offset, entry.used());
  }

  private void storeFreed(LegSet set, long offset, long freedSequence) {
    byte[] head = RecordFormat.freed(secret, offset, freedSequence);
    volume.markDirty(set, offset, head.length);
    long locked = volume.lockRegions(set, offset, head.length);
    try {
      VarHandle.releaseFence();
      volume.store(set, offset, head, 0, head.length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, offset, head.length, e);
    } finally {
      volume.unlockRegions(locked);
    }
    volume.flush(set, offset, head.length);
  }

  /**
   * Frees a record on every leg of the write set, through all changes of it, under the lock of its
   * key: between two attempts nobody may see a key that points to a record that is half freed.
   *
   * <p>This is the one place that recovers with a key's lock held. It may: inside of {@code
   * failover} nothing else is locked, and nobody waits there for operations to end.
   */
  private void freeOnDevices(RecordEntry old) {
    if (old.isLost()) {
      return;
    }
    int unexplained = 0;
    for (boolean begun = false; ; begun = true) {
      LegSet set;
      try {
        set = volume.writableLegs();
      } catch (HoldfastException e) {
        giveUp(old, begun);
        throw e;
      }
      try {
        storeFreed(set, old.offset, old.sequence);
        volume.requireCurrent(set);
        return;
      } catch (LegSetChanged e) {
        // Again, on the legs that are left.
      } catch (DeviceFault fault) {
        // Not out of here with the fault: the put that frees this would be done once more.
        if (!volume.recover(fault) && ++unexplained >= UNEXPLAINED_LIMIT) {
          giveUp(old, true);
          throw new HoldfastException("a memory fault that no leg explains", fault);
        }
      }
    }
  }

  /** Leaves a record that may be freed or not, and nobody was told that it is. */
  private void giveUp(RecordEntry old, boolean begun) {
    if (begun && index.remove(old.key, old)) {
      // It is not led to any more.
      entries.decrementAndGet();
    }
    if (index.get(old.key) != old) {
      // Its place stays taken until the records are read again, but nothing lives there.
      reverseMap.disown(old);
    }
  }

  /** Gives up the extent of an entry that was freed on the devices and is not in the index. */
  private void release(RecordEntry old) {
    if (old.isLost()) {
      return;
    }
    reverseMap.disown(old);
    if (volume.isStorable(volume.legs(), old.offset, old.length())) {
      allocator.free(old.offset, old.length());
    } else {
      quarantine.add(old);
    }
  }

  /** Makes sure that what a failed put left behind never becomes a record. */
  private void abandon(Put put) {
    try {
      operate(() -> {
        if (put.generation != generation.get()) {
          return true;
        }
        if (put.sequence > 0) {
          LegSet set = volume.writableLegs();
          // Not more than the sequence that was used: what is stored there later stands.
          storeFreed(set, put.offset, put.sequence);
          volume.requireCurrent(set);
        }
        allocator.free(put.offset, put.length);
        return true;
      });
    } catch (HoldfastException e) {
      // No leg takes it now. The extent stays taken, until the store is opened again.
    }
  }

  /** Removes a key; whether it had a value. */
  public boolean remove(byte[] key) {
    requireKey(key);
    boolean[] wasLost = new boolean[1];
    long[] removedAt = new long[1];
    boolean removed =
        operate(() -> {
          ReentrantLock stripe = lock(key);
          try {
            LegSet _ = volume.writableLegs();
            RecordEntry old = index.get(key);
            removedAt[0] = sequence.get();
            if (old == null) {
              wasLost[0] = losses.mayHold(key);
              return false;
            }
            wasLost[0] = old.isLost() || losses.mayHold(key);
            freeOnDevices(old);
            index.remove(key);
            entries.decrementAndGet();
            release(old);
            return true;
          } finally {
            stripe.unlock();
          }
        });
    if (wasLost[0]) {
      heal(key, true, removedAt[0]);
    }
    return removed;
  }

  private long nextSequence() {
    long next = sequence.getAndIncrement();
    if (next >= volume.config().sequenceCeiling()) {
      throw new HoldfastException(
          "sequences: expected fewer than "
              + volume.config().sequenceCeiling()
              + ", was "
              + next
              + "; open the store again",
          null);
    }
    return next;
  }

  private void grow(long needed) {
    long capacity = volume.capacity();
    long least = roundUp(capacity + needed + allocator.reserve() + GROWTH_UNIT);
    long wanted = Math.max(least, roundUp(capacity + Math.min(capacity, GROWTH_STEP_LIMIT)));
    try {
      growTo(Math.min(wanted, maxCapacity), capacity, least);
    } catch (OutOfSpaceException e) {
      // No room for a large step; the smallest one that helps may still fit.
      growTo(Math.min(least, maxCapacity), capacity, least);
    }
  }

  private void growTo(long target, long before, long least) {
    if (least > maxCapacity && before >= maxCapacity) {
      throw new OutOfSpaceException(
          "the store is full: expected at most "
              + maxCapacity
              + " bytes of capacity, needs "
              + least);
    }
    try {
      volume.grow(target);
    } catch (DeviceFault fault) {
      volume.recover(fault);
    } catch (LegSetChanged changed) {
      // The put tries again, and grows again if it has to.
    }
    if (volume.capacity() > before) {
      allocator.growTo(volume.capacity());
    }
  }

  private static long roundUp(long bytes) {
    return (bytes + GROWTH_UNIT - 1) / GROWTH_UNIT * GROWTH_UNIT;
  }

  // ---------------------------------------------------------------- losses and repair

  /** Whether an extent is the place of a live record. */
  public boolean isLive(OwnedExtent extent) {
    return extent instanceof RecordEntry entry && index.get(entry.key) == entry;
  }

  /** Names a record as lost, if it still is the record of its key and no leg can serve it. */
  public boolean nameIfLost(OwnedExtent extent) {
    if (!(extent instanceof RecordEntry entry) || index.get(entry.key) != entry) {
      return false;
    }
    byte[] value =
        operate(() -> {
          ReentrantLock stripe = lock(entry.key);
          try {
            return readAnyLeg(entry);
          } finally {
            stripe.unlock();
          }
        });
    if (value != null || index.get(entry.key) != entry) {
      return false;
    }
    nameLost(entry);
    return true;
  }

  /**
   * Does what {@link #nameIfLost(OwnedExtent)} does, unless an operation keeps the key to itself
   * for too long.
   *
   * @param deadline until when to wait for that operation, by {@link System#nanoTime}
   * @throws TimeoutException if it did not end in time: nothing was looked at
   */
  public boolean nameIfLost(OwnedExtent extent, long deadline) throws TimeoutException {
    if (!(extent instanceof RecordEntry entry)) {
      return false;
    }
    ReentrantLock stripe = stripe(entry.key);
    if (!TimedLock.tryUntil(stripe, deadline)) {
      throw new TimeoutException();
    }
    try {
      // Held throughout, so that nobody takes it between the look and the naming. A fault is
      // recovered from with it held then, as it may be where a record is freed.
      return nameIfLost(extent);
    } finally {
      stripe.unlock();
    }
  }

  private void nameLost(RecordEntry entry) {
    LossRecord record =
        new LossRecord(entry.key, false, entry.offset, entry.length(), entry.sequence);
    if (volume.readOnlyCause() == null) {
      // Durable first: an answer that named a key as lost stands after a reopen, too.
      changeLosses(records -> Losses.with(records, List.of(record)));
    }
    boolean named =
        operate(() -> {
          ReentrantLock stripe = lock(entry.key);
          try {
            if (index.get(entry.key) != entry) {
              return false;
            }
            if (volume.readOnlyCause() == null) {
              LegSet set = volume.writableLegs();
              storeFreed(set, entry.offset, entry.sequence);
              volume.requireCurrent(set);
            }
            index.put(entry.key, RecordEntry.lost(entry.key, entry.sequence));
            reverseMap.disown(entry);
            quarantine.add(entry);
            return true;
          } finally {
            stripe.unlock();
          }
        });
    if (!named && volume.readOnlyCause() == null && !isLost(entry.key)) {
      // Written or removed in between: nothing is lost that anybody could still ask for.
      heal(entry.key, index.get(entry.key) == null, entry.sequence + 1);
    }
  }

  private boolean isLost(byte[] key) {
    RecordEntry entry = index.get(key);
    return entry != null && entry.isLost();
  }

  /**
   * Drops what the loss records say of a key that was written or removed since.
   *
   * @param before the sequence of the write, or the one that the next write after the removal had:
   *     what was lost later than that stays
   */
  private void heal(byte[] key, boolean deleted, long before) {
    changeLosses(records -> Losses.healed(records, key, deleted, before));
  }

  /** Gives back the extents that waited for a bad page, once there is none. */
  public void releaseQuarantine() {
    for (int n = quarantine.size(); n > 0; n--) {
      RecordEntry entry = quarantine.poll();
      if (entry == null) {
        return;
      }
      if (volume.isStorable(volume.legs(), entry.offset, entry.length())) {
        allocator.free(entry.offset, entry.length());
      } else {
        quarantine.add(entry);
      }
    }
  }

  /**
   * Rewrites the record of an extent on a leg where it does not validate, from one where it does.
   *
   * @return whether it was damaged and is good now
   */
  public boolean repairRecord(OwnedExtent extent, int leg) {
    if (!(extent instanceof RecordEntry entry)) {
      return false;
    }
    return operate(() -> {
      ReentrantLock stripe = lock(entry.key);
      try {
        return index.get(entry.key) == entry && rewrite(entry, leg);
      } finally {
        stripe.unlock();
      }
    });
  }

  private boolean rewrite(RecordEntry entry, int leg) {
    LegSet set = volume.writableLegs();
    byte[] head = new byte[RecordFormat.HEADER_LENGTH + entry.key.length];
    byte[] value = new byte[entry.valueLength];
    byte[] goodHead = null;
    byte[] goodValue = null;
    boolean bad = false;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (!set.canRead(reader, entry.offset, entry.used())) {
        continue;
      }
      try {
        volume.load(set, reader, entry.offset, head, 0, head.length);
        volume.load(set, reader, entry.offset + head.length, value, 0, value.length);
        Gateway.barrier();
      } catch (InternalError e) {
        throw volume.faulted(set, entry.offset, entry.used(), e);
      }
      if (!validates(entry, head, value)) {
        bad |= set.legOf(reader) == leg;
      } else if (set.legOf(reader) != leg) {
        goodHead = head.clone();
        goodValue = value.clone();
      }
    }
    if (!bad || goodHead == null || goodValue == null) {
      return false;
    }
    volume.markDirty(set, entry.offset, entry.used());
    long locked = volume.lockRegions(set, entry.offset, entry.used());
    try {
      volume.storeTo(set, leg, entry.offset + goodHead.length, goodValue, 0, goodValue.length);
      volume.storeTo(set, leg, entry.offset, goodHead, 0, goodHead.length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw volume.faulted(set, entry.offset, entry.used(), e);
    } finally {
      volume.unlockRegions(locked);
    }
    volume.flush(set, entry.offset, entry.used());
    volume.requireCurrent(set);
    return true;
  }

  /** Carries everything that was acknowledged as far as the persistence mode goes. */
  public void sync() {
    operate(() -> {
      LegSet set = volume.writableLegs();
      volume.flush(set, 0, volume.capacity());
      return true;
    });
  }

  // ---------------------------------------------------------------- figures and close

  /** The number of entries. */
  public long entries() {
    return entries.get();
  }

  /** The free bytes. */
  public long freeBytes() {
    return allocator.freeBytes();
  }

  /** What was lost. */
  public List<LossRecord> losses() {
    return losses.records();
  }

  /** The next sequence. */
  public long sequence() {
    return sequence.get();
  }

  /** A check on all records, for a close in order. */
  public VolumeConfig.Summary summary() {
    long digest = 0;
    long count = 0;
    for (RecordEntry entry : index.values()) {
      if (!entry.isLost()) {
        digest ^= entry.digest();
        count++;
      }
    }
    return new VolumeConfig.Summary(count, digest);
  }

  /**
   * Lets operations wait outside, as offline, while {@code body} brings the devices back and builds
   * the index anew.
   */
  public void whileSuspended(long graceNanos, Runnable body) {
    suspended = true;
    try {
      if (volume.grace().await(graceNanos)) {
        body.run();
      }
    } finally {
      suspended = false;
    }
  }

  /** Whether operations wait outside, see {@link #whileSuspended}. */
  public boolean isSuspended() {
    return suspended;
  }

  /** Lets no further operation begin. */
  public void close() {
    closed = true;
  }

  // ---------------------------------------------------------------- one operation

  /** Runs an attempt until it is not disturbed by a fault; the one place where faults end up. */
  private <T extends @Nullable Object> T operate(Supplier<T> attempt) {
    int unexplained = 0;
    while (true) {
      DeviceFault fault = null;
      int entered = volume.grace().enter();
      try {
        requireOpen();
        return attempt.get();
      } catch (DeviceFault e) {
        fault = e;
      } catch (LegSetChanged e) {
        // Start over with the set that is in force now.
      } catch (InternalError e) {
        fault = volume.faulted(volume.legs(), 0, 0, e);
      } finally {
        volume.grace().exit(entered);
      }
      if (fault != null && !volume.recover(fault) && ++unexplained >= UNEXPLAINED_LIMIT) {
        throw new HoldfastException(
            "a memory fault that no leg explains; was memory passed in that is gone?", fault);
      }
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new StoreClosedException("the store is closed");
    }
    if (suspended) {
      throw new DeviceOfflineException(
          "the device is back; its records are being read before they are served");
    }
  }

  /** What DRAM knows is no answer either while no leg is there: all reads fail alike. */
  private void requireServed() {
    requireOpen();
    if (volume.legs().readers() == 0) {
      throw volume.offline();
    }
  }

  private static void requireKey(byte[] key) {
    if (key.length == 0 || key.length > MAX_KEY_LENGTH) {
      throw new IllegalArgumentException(
          "key: expected 1 to " + MAX_KEY_LENGTH + " bytes, was " + key.length);
    }
  }

  private ReentrantLock lock(byte[] key) {
    ReentrantLock stripe = stripe(key);
    stripe.lock();
    return stripe;
  }

  private ReentrantLock stripe(byte[] key) {
    int hash = Arrays.hashCode(key);
    return stripes[(hash ^ hash >>> 16) & STRIPES - 1];
  }

  private DataLostException lost(byte[] key) {
    return new DataLostException(
        "key "
            + Keys.printable(key)
            + ": its record was acknowledged and no leg holds it any more");
  }
}
