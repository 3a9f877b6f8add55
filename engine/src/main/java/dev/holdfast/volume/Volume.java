package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.ReadOnlyStoreException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.RangeOrigin;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.FaultInjector;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Legs that hold the same bytes at the same offsets, and what happens when one of them, or a page
 * of one, is gone.
 *
 * <h2>How operations use it</h2>
 *
 * An operation {@linkplain GracePeriod#enter enters}, takes the {@linkplain #legs leg set}, loads
 * or stores through it, ends with a barrier and, if it stored, with {@link #requireCurrent}. A
 * {@link DeviceFault} or {@link LegSetChanged} on the way means that nothing was done: it exits,
 * drops its locks, calls {@link #recover} for a fault, and starts over with the set that is then in
 * force.
 *
 * <h2>How a leg is lost</h2>
 *
 * On the thread that detects it, which holds no other lock of the engine, under {@code failover}:
 *
 * <ol>
 *   <li>the leg's state is changed: nothing maps or repairs it any more;
 *   <li>the read set without it comes into force;
 *   <li>the stale mark and a new epoch become durable on every survivor, then in the witness;
 *   <li>the write set without it comes into force.
 * </ol>
 *
 * Between 2 and 4 no write can be acknowledged that the lost leg lacks: its window faults, and a
 * put that faults comes here and waits. So a leg that returns is either marked stale, or lacks
 * nothing.
 *
 * <p><b>Lock order:</b> locks of the index, then {@code changing} of the dirty map or the region
 * locks, then {@code failover}; inside {@code failover} no other lock of the engine is taken.
 */
public final class Volume {
  /** In one call: less than what makes a medium that has to find it look silent. */
  private static final long GROWN_AT_ONCE = 32L << 20;

  private static final System.Logger LOG = System.getLogger(Volume.class.getName());

  /** A leg is gone, not poisoned, when none of so many pages all over it answers. */
  private static final int PROBES = 8;

  private static final int CACHE_LINE = 64;

  /** How much is flushed at once at a close, in bytes: a busy medium is not silent for that. */
  private static final long CLOSE_PIECE = 16L << 20;

  /** How often who waits for the legs to be changed looks whether there is a reason to. */
  private static final long LOOK_NANOS = 20_000_000L;

  /** How long whoever changes the legs may take to end when the volume is abandoned. */
  private static final long ABANDON_NANOS = 200_000_000L;

  /** By index; another list when a leg comes to a new place. Changed under {@code failover}. */
  private volatile List<Leg> legs;

  private final LegSlots slots = new LegSlots(this);
  private final Path witnessFile;
  private final VolumeNews news;
  private final SwitchObserver observer;

  /** The time of day, in milliseconds since 1970. */
  private final LongSupplier wallClock;

  private final GracePeriod grace = new GracePeriod();
  private final DirtyMap dirty;
  private final RegionLocks regions = new RegionLocks();

  /** Every window that was ever mapped; they are unmapped when the volume closes. */
  private final ConcurrentLinkedQueue<Window> windows = new ConcurrentLinkedQueue<>();

  private final MediumCalls media = new MediumCalls();
  private final LongAdder faultsCaught = new LongAdder();
  private final ReentrantLock failover = new ReentrantLock();
  private final ReentrantLock growing = new ReentrantLock();

  /** Held while the witness is written, which may go on behind who waits for it. */
  private final ReentrantLock witnessing = new ReentrantLock();

  private final RandomGenerator random = RandomGenerator.getDefault();
  private final int pageSize = FaultInjector.pageSize();

  /**
   * Whether a flush is more than nothing on some leg; once it is, it stays so. Plain: an operation
   * that entered behind a change sees it.
   */
  private boolean flushes;

  /** What the devices were raised to, those to come included. */
  private volatile PersistenceMode raised = PersistenceMode.PROCESS;

  private volatile SecondCopies secondCopies = SecondCopies.NONE;
  private volatile LegSet current;
  private volatile boolean stopping;
  private volatile VolumeConfig config;
  private volatile @Nullable HoldfastException readOnlyCause;

  /** Whether the devices have to be opened again before anything is written. */
  private volatile boolean stoppedForGood;

  /** Whether somebody else may have the files by now. */
  private volatile boolean abandoned;

  /** Whether nothing may be served any more, whatever returns. */
  private volatile boolean failed;

  private volatile @Nullable CopyState copyState;

  /** Whether somebody can do without it. */
  private volatile boolean spareable;

  Volume(
      List<Leg> legs,
      LegSet first,
      VolumeConfig config,
      DirtyMap dirty,
      Path witnessFile,
      VolumeNews news,
      SwitchObserver observer,
      @Nullable HoldfastException readOnlyCause,
      LongSupplier wallClock) {
    this.legs = List.copyOf(legs);
    this.current = first;
    this.config = config;
    this.dirty = dirty;
    this.witnessFile = witnessFile;
    this.news = news;
    this.observer = observer;
    this.readOnlyCause = readOnlyCause;
    this.stoppedForGood = readOnlyCause != null;
    this.wallClock = wallClock;
    this.flushes =
        legs.stream()
            .filter(leg -> leg.state() != LegState.DETACHED)
            .anyMatch(leg -> leg.device().persistenceMode() != PersistenceMode.PROCESS);
  }

  // ---------------------------------------------------------------- what operations use

  /** The leg set in force. */
  public LegSet legs() {
    return current;
  }

  /** Registers the events of flight recordings, so that the first ones do not have to. */
  public void prepareNotices() {
    LegStateNotice.prepare();
    LegLostNotice.prepare();
    BadRangeNotice.prepare();
    WritesStoppedNotice.prepare();
    ResilverNotice.prepare();
  }

  /** The directory of the store, for people. */
  public String place() {
    return String.valueOf(witnessFile.getParent());
  }

  /** How far a flush carries a store on every leg; what a device of its own makes of it. */
  public PersistenceMode persistenceMode() {
    PersistenceMode weakest = PersistenceMode.DAX;
    for (Leg leg : legs) {
      if (leg.state() == LegState.DETACHED) {
        continue;
      }
      PersistenceMode mode = leg.device().persistenceMode();
      weakest = mode.reaches(weakest) ? weakest : mode;
    }
    return weakest;
  }

  /**
   * Makes every device carry what is flushed from now on at least as far as {@code mode}.
   *
   * @throws IllegalArgumentException if one cannot
   */
  public void raise(PersistenceMode mode) {
    for (Leg leg : legs) {
      leg.device().raise(mode);
    }
    raised = mode;
    flushes = true;
  }

  /** Counts operations in and out. */
  public GracePeriod grace() {
    return grace;
  }

  /** The legs, by index, whatever their state. */
  public List<Leg> allLegs() {
    return legs;
  }

  /** How many legs there are, places that a leg has left not counted. */
  public int countLegs() {
    return LegSlots.taken(legs);
  }

  /** The places of the legs. */
  public LegSlots slots() {
    return slots;
  }

  /** Gives a device a place, out of use. */
  Leg take(int index, PmemDevice device) {
    device.raise(raised);
    failover.lock();
    try {
      List<Leg> more = new ArrayList<>(legs);
      if (index == more.size()) {
        Leg leg = new Leg(index, device, LegState.OFFLINE);
        leg.hold(true);
        more.add(leg);
        legs = List.copyOf(more);
        return leg;
      }
      Leg leg = more.get(index);
      leg.device(device);
      leg.state(LegState.OFFLINE);
      return leg;
    } finally {
      failover.unlock();
    }
  }

  /** Leaves a place empty. */
  void vacate(int index, PmemDevice nothing) {
    failover.lock();
    try {
      Leg leg = legs.get(index);
      leg.hold(true);
      leg.state(LegState.DETACHED);
      leg.device(nothing);
    } finally {
      failover.unlock();
    }
  }

  /** The configuration in force. */
  public VolumeConfig config() {
    return config;
  }

  /** The bytes of a leg that can be used. */
  public long capacity() {
    return config.capacity();
  }

  /** How often a memory fault was caught. */
  public long faultsCaught() {
    return faultsCaught.sum();
  }

  /** Whether writes were stopped. */
  public boolean isReadOnly() {
    return readOnlyCause != null;
  }

  /** Whether some leg takes stores. */
  public boolean takesStores() {
    return current.writers.length > 0 && readOnlyCause == null;
  }

  /** Why nothing can be written; null while it can. */
  public @Nullable HoldfastException readOnlyCause() {
    return readOnlyCause;
  }

  /**
   * The leg set, for somebody who writes.
   *
   * @throws ReadOnlyStoreException if writes were stopped
   * @throws DeviceOfflineException if no leg can be reached
   */
  public LegSet writableLegs() {
    LegSet set = current;
    HoldfastException cause = readOnlyCause;
    if (cause != null) {
      throw new ReadOnlyStoreException("writes were stopped: " + cause.getMessage(), cause);
    }
    if (set.writers.length > 0) {
      return set;
    }
    throw offline();
  }

  /** The error of an operation that finds no leg to read. */
  public DeviceOfflineException offline() {
    StringBuilder text = new StringBuilder("no leg can be reached:");
    for (Leg leg : legs) {
      if (leg.state() == LegState.DETACHED) {
        continue;
      }
      text.append(" leg ").append(leg.index()).append(" (").append(leg.device().name());
      text.append(") is ").append(leg.state()).append(';');
    }
    text.setLength(text.length() - 1);
    return new DeviceOfflineException(text.toString());
  }

  /** Loads a range from one reader; garbage until the barrier behind it. */
  public void load(LegSet set, int reader, long offset, byte[] target, int at, int length) {
    Gateway.copyOut(set.readers[reader].window(), offset, target, at, length);
  }

  /**
   * Loads a range from one reader, and ends with a barrier.
   *
   * @return false if the reader may not serve it
   */
  public boolean loadChecked(
      LegSet set, int reader, long offset, byte[] target, int at, int length) {
    if (!set.canRead(reader, offset, length)) {
      return false;
    }
    try {
      load(set, reader, offset, target, at, length);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    }
  }

  /**
   * Loads lines of a range on each leg of the write set, for who is about to store there. Ends with
   * a barrier, so that a page that is gone is known by its own range; it waits for nothing else.
   */
  public void touch(LegSet set, long offset, int length) {
    if (set.exclusions != null || offset + length > capacity()) {
      return;
    }
    try {
      for (Leg.Mapped writer : set.writers) {
        for (int at = 0; at < length; at += CACHE_LINE) {
          Gateway.touch(writer.window(), offset + at);
        }
      }
      Gateway.barrier();
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    }
  }

  /**
   * Counts a record that was read.
   *
   * @param place that of the operation in the grace period; -1 if it has none
   */
  public void countRead(LegSet set, int reader, int place) {
    set.readers[reader].leg().countRead(place);
  }

  /**
   * Loads a range piece by piece, each from a reader that is allowed to serve it, and ends with a
   * barrier.
   *
   * @return false if some piece is on no leg
   */
  public boolean assemble(LegSet set, long offset, byte[] target, int at, int length) {
    try {
      long end = offset + length;
      for (long from = offset; from < end; ) {
        long to = Math.min(end, LegSet.nextStep(from, pageSize));
        int reader = set.readerOf(from, to - from);
        if (reader < 0) {
          return false;
        }
        load(set, reader, from, target, at + (int) (from - offset), (int) (to - from));
        from = to;
      }
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    }
  }

  /**
   * Loads a range from a leg of the write set wherever it can be reached, even where it is under
   * repair, and from readers elsewhere; ends with a barrier. The last resort before something is
   * called lost: the repair may have got there already, which only a checksum can tell.
   *
   * @return false if some piece is on no leg
   */
  public boolean assembleFromWriter(
      LegSet set, int writer, long offset, byte[] target, int at, int length) {
    Leg.Mapped preferred = set.writers[writer];
    try {
      long end = offset + length;
      for (long from = offset; from < end; ) {
        long to = Math.min(end, LegSet.nextStep(from, pageSize));
        int into = at + (int) (from - offset);
        int reader = set.readerOf(from, to - from);
        if (set.canWrite(writer, from, to - from)) {
          Gateway.copyOut(preferred.window(), from, target, into, (int) (to - from));
        } else if (reader >= 0) {
          load(set, reader, from, target, into, (int) (to - from));
        } else {
          return false;
        }
        from = to;
      }
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    }
  }

  /** Whether each byte of a range is on some leg. */
  public boolean isReadable(LegSet set, long offset, long length) {
    return set.canAssemble(offset, length, pageSize);
  }

  /** Stores a range to every leg of the write set, but for pages that are bad there. */
  public void store(LegSet set, long offset, byte[] source, int at, int length) {
    for (Leg.Mapped writer : set.writers) {
      if (set.exclusions == null) {
        Gateway.copyIn(source, at, writer.window(), offset, length);
      } else {
        storeAround(set.exclusions, writer, offset, source, at, length);
      }
    }
  }

  private static void storeAround(
      Exclusions excluded, Leg.Mapped writer, long offset, byte[] source, int at, int length) {
    int leg = writer.leg().index();
    long end = offset + length;
    for (long from = excluded.skipBad(leg, offset, end); from < end; ) {
      long to = excluded.nextBad(leg, from, end);
      Gateway.copyIn(source, at + (int) (from - offset), writer.window(), from, (int) (to - from));
      from = excluded.skipBad(leg, to, end);
    }
  }

  /**
   * Stores a range to every leg of the write set and carries it as far as the persistence mode
   * goes, marked dirty before; ends with a barrier. It counts when {@link #requireCurrent} agrees.
   *
   * @param site the name of the flush and of its fence, one for each place in the code: a test of
   *     power loss takes them away by it, see {@link PmemDevice#flush(String, long, long)}
   */
  public void storeDurably(
      String site, LegSet set, long offset, byte[] source, int at, int length) {
    storeChecked(set, offset, source, at, length);
    flush(site, set, offset, length);
  }

  /** Does what {@link #storeDurably} does, but for the flush. */
  public void storeChecked(LegSet set, long offset, byte[] source, int at, int length) {
    markDirty(set, offset, length);
    long locked = lockRegions(set, offset, length);
    try {
      store(set, offset, source, at, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    } finally {
      unlockRegions(locked);
    }
  }

  /** Does what {@link #storeDurably} does, on one leg alone. */
  public void storeToLeg(
      String site, LegSet set, int leg, long offset, byte[] source, int at, int length) {
    markDirty(set, offset, length);
    long locked = lockRegions(set, offset, length);
    try {
      storeTo(set, leg, offset, source, at, length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw faulted(set, offset, length, e);
    } finally {
      unlockRegions(locked);
    }
    flush(site, set, offset, length);
  }

  /** Loads a word from one reader; garbage until the barrier behind it. */
  public long loadLong(LegSet set, int reader, long offset) {
    return Gateway.getLong(set.readers[reader].window(), offset);
  }

  /**
   * Loads a range from wherever its pieces can be reached, even where they are under repair: only a
   * checksum can tell whether they are right. Ends with a barrier.
   *
   * @return false if some piece is on no leg
   */
  public boolean assembleAny(LegSet set, long offset, byte[] target, int at, int length) {
    if (assemble(set, offset, target, at, length)) {
      return true;
    }
    for (int writer = 0; writer < set.writers(); writer++) {
      if (assembleFromWriter(set, writer, offset, target, at, length)) {
        return true;
      }
    }
    return false;
  }

  /** Stores a range to one leg alone, as repair does. */
  public void storeTo(LegSet set, int leg, long offset, byte[] source, int at, int length) {
    for (Leg.Mapped writer : set.writers) {
      if (writer.leg().index() == leg) {
        if (set.exclusions == null) {
          Gateway.copyIn(source, at, writer.window(), offset, length);
        } else {
          storeAround(set.exclusions, writer, offset, source, at, length);
        }
      }
    }
  }

  /** Whether each page of a range can be stored to some leg. */
  public boolean isStorable(LegSet set, long offset, long length) {
    Exclusions excluded = set.exclusions;
    if (excluded == null) {
      return true;
    }
    long end = offset + length;
    for (long page = offset / pageSize * pageSize; page < end; page += pageSize) {
      boolean somewhere = false;
      for (Leg.Mapped writer : set.writers) {
        somewhere |= !excluded.forbidWriting(writer.leg().index(), page, pageSize);
      }
      if (!somewhere) {
        return false;
      }
    }
    return true;
  }

  /** Whether a range can be stored to every leg of the write set, as a whole. */
  public boolean isStorableOnAll(LegSet set, long offset, long length) {
    for (int writer = 0; set.exclusions != null && writer < set.writers(); writer++) {
      if (!set.canWrite(writer, offset, length)) {
        return false;
      }
    }
    return true;
  }

  /** Marks the regions of a range as written to, durably. */
  public void markDirty(LegSet set, long offset, long length) {
    dirty.mark(this, set, offset, length);
  }

  /**
   * Keeps a copier out of a range that is about to be stored to; only while something is copied.
   */
  public long lockRegions(LegSet set, long offset, long length) {
    return set.copying ? regions.lock(offset, length) : 0;
  }

  /** Ends what {@link #lockRegions} began. */
  public void unlockRegions(long locked) {
    if (locked != 0) {
      regions.unlock(locked);
    }
  }

  /**
   * Carries a range as far as the persistence mode goes, on every leg of the write set.
   *
   * @param site the name of the flush and of its fence
   */
  public void flush(String site, LegSet set, long offset, long length) {
    if (!flushes) {
      return;
    }
    flush(site, set, new long[] {offset, length}, 1);
  }

  /**
   * Carries several ranges as far as the persistence mode goes, on every leg of the write set: one
   * msync a leg where the mode is {@link PersistenceMode#FILE}.
   *
   * @param site the name of the flush and of its fence
   * @param ranges offset and length of each range, one behind the other
   * @param count how many ranges there are; with none there is nothing to fence either
   */
  public void flush(String site, LegSet set, long[] ranges, int count) {
    if (count == 0) {
      return;
    }
    // All legs at once: each waits for a medium of its own.
    Leg.Mapped[] writers = set.writers;
    MediumCalls.@Nullable Call[] calls = new MediumCalls.@Nullable Call[writers.length];
    for (int i = 0; i < writers.length; i++) {
      PmemDevice device = writers[i].leg().device();
      if (device.persistenceMode() == PersistenceMode.FILE) {
        calls[i] =
            media.begin(
                nameOf(writers[i].leg()),
                slow(writers[i].leg()),
                () -> flushOne(device, site, ranges, count));
      }
    }
    DeviceFault fault = null;
    for (int i = 0; i < writers.length; i++) {
      // Each is heard: what one refused is told once, and must not be asked for again.
      DeviceFault one = flushed(set, writers[i].leg(), calls[i], site, ranges, count);
      fault = one == null ? fault : one.with(fault);
    }
    if (fault != null) {
      throw fault;
    }
  }

  /** The fence orders what its own thread flushed. */
  private static void flushOne(PmemDevice device, String site, long[] ranges, int count) {
    device.flush(site, ranges, count);
    device.fence(site);
  }

  /** Flushes a leg, or waits for the call that does; what came of it, null if it is done. */
  private @Nullable DeviceFault flushed(
      LegSet set, Leg leg, MediumCalls.@Nullable Call call, String site, long[] ranges, int count) {
    try {
      if (call == null) {
        flushOne(leg.device(), site, ranges, count);
      } else {
        media.await(call, () -> spareable || anotherHoldsEverything(leg.index()));
      }
      return null;
    } catch (MediumCalls.Silent e) {
      return new DeviceFault(set, leg, e.why(), true);
    } catch (DeviceIoException | DeviceOfflineException e) {
      // Never flushed again: the kernel may have dropped the pages it could not write.
      return new DeviceFault(set, leg, "flush failed: " + e.getMessage());
    } catch (InternalError e) {
      // A page went between the barrier behind its store and its write-back.
      return faulted(set, firstOf(ranges, count), lengthOf(ranges, count), e);
    }
  }

  private static String nameOf(Leg leg) {
    return "leg " + leg.index();
  }

  /** What is done where the medium of a leg takes long. */
  private Runnable slow(Leg leg) {
    return () -> news.report(leg.index(), FaultKind.SLOW, 0, capacity());
  }

  /** Has a call made that waits for the medium of a leg, which may be silent. */
  void waitFor(LegSet set, Leg leg, Runnable call) {
    try {
      waitFor(leg, call);
    } catch (MediumCalls.Silent e) {
      throw new DeviceFault(set, leg, e.why(), true);
    }
  }

  /**
   * Does what {@link MediumCalls#make} does, but for persistent memory itself: what is written back
   * there waits for nothing, and may fault.
   */
  void waitFor(Leg leg, Runnable call) {
    waitFor(leg, Set.of(), call);
  }

  /**
   * @param died legs that were given up meanwhile: they cover no other one
   */
  private void waitFor(Leg leg, Set<Integer> died, Runnable call) {
    if (leg.device().persistenceMode() == PersistenceMode.DAX) {
      call.run();
    } else {
      media.make(nameOf(leg), slow(leg), () -> anotherHoldsEverything(leg.index(), died), call);
    }
  }

  /** Does what the other one does; silence is a refusal for who calls. */
  void waitOrFail(Leg leg, Runnable call) {
    try {
      waitFor(leg, call);
    } catch (MediumCalls.Silent e) {
      throw new DeviceIoException(e.why());
    }
  }

  /** Says how long the medium of a leg may be silent where another leg holds everything. */
  public void silentFor(Duration most) {
    media.limit(most);
  }

  /** Has the last copy be given up as any other when its medium is silent for too long. */
  public void spareable() {
    spareable = true;
  }

  /** For how many nanoseconds somebody has waited for a medium; 0 if nobody does. */
  public long silentNanos() {
    return media.silentNanos();
  }

  private static long firstOf(long[] ranges, int count) {
    long first = Long.MAX_VALUE;
    for (int i = 0; i < count; i++) {
      first = Math.min(first, ranges[2 * i]);
    }
    return first;
  }

  private static long lengthOf(long[] ranges, int count) {
    long end = 0;
    for (int i = 0; i < count; i++) {
      end = Math.max(end, ranges[2 * i] + ranges[2 * i + 1]);
    }
    return end - firstOf(ranges, count);
  }

  /**
   * Carries a range to the medium on every leg of the write set, whatever the persistence mode.
   *
   * @param site the name of the flush and of its fence
   */
  void writeBack(String site, LegSet set, long offset, long length) {
    for (Leg.Mapped writer : set.writers) {
      PmemDevice device = writer.leg().device();
      try {
        waitFor(
            set,
            writer.leg(),
            () -> {
              device.writeBack(site, offset, length);
              device.fence(site);
            });
      } catch (DeviceIoException | DeviceOfflineException e) {
        throw new DeviceFault(set, writer.leg(), "flush failed: " + e.getMessage());
      } catch (InternalError e) {
        throw faulted(set, offset, length, e);
      }
    }
  }

  /**
   * Ends a pass of stores: what was stored counts if no other leg set came into force.
   *
   * @throws LegSetChanged if one did: nothing was stored then, anywhere
   */
  public void requireCurrent(LegSet set) {
    VarHandle.fullFence();
    if (current != set) {
      throw new LegSetChanged();
    }
  }

  /** Turns the error of a barrier into a fault of a range; anything else passes through. */
  public DeviceFault faulted(LegSet set, long offset, long length, InternalError error) {
    if (!Gateway.isMemoryFault(error)) {
      throw error;
    }
    faultsCaught.increment();
    return new DeviceFault(set, offset, length);
  }

  // ---------------------------------------------------------------- what happens on a fault

  /**
   * Finds out what a fault means and does what may not wait. When it returns, another leg set is in
   * force, or the fault was not a leg's. Called with no lock held.
   *
   * @return false if every leg answers: the fault came from somewhere else
   */
  public boolean recover(DeviceFault fault) {
    DeviceFault also = fault.also();
    boolean explained = also != null && recover(also);
    return recoverOne(fault) || explained;
  }

  private boolean recoverOne(DeviceFault fault) {
    long caughtAt = System.nanoTime();
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      LegSet set = current;
      if (abandoned) {
        return true;
      }
      Leg refused = fault.refused();
      if (refused != null && fault.isSilent()) {
        // It may answer yet, and then nothing is wrong with it: the last copy is waited for.
        if (isUsed(refused) && (spareable || anotherHoldsEverything(refused.index()))) {
          lose(List.of(refused), LegState.FAULTED, fault.why(), caughtAt, later);
        }
        return true;
      }
      if (refused != null) {
        // Whatever set is in force by now: what the medium refused once is not asked again.
        if (everyLeg(set).stream().anyMatch(mapped -> mapped.leg() == refused)) {
          refuse(refused, fault.why(), later);
        }
        return true;
      }
      if (set != fault.legs()) {
        return true;
      }
      return diagnose(set, fault.offset(), fault.length(), RangeOrigin.ACCESS, caughtAt, later)
          || losePlacesWithoutStores(set, fault.offset(), fault.length(), later);
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /**
   * Takes up what a device told. Called by the device's thread, with no lock held; duplicates, late
   * news and ranges that are not there are harmless.
   */
  public void notified(PmemDevice device, FaultKind kind, long offset, long length) {
    notified(device, kind, offset, length, RangeOrigin.NOTIFICATION);
  }

  /** As {@link #notified(PmemDevice, FaultKind, long, long)}, of what somebody else found. */
  public void notified(
      PmemDevice device, FaultKind kind, long offset, long length, RangeOrigin origin) {
    List<Runnable> later = new ArrayList<>();
    long now = System.nanoTime();
    failover.lock();
    try {
      LegSet set = current;
      for (Leg.Mapped mapped : everyLeg(set)) {
        if (!mapped.leg().device().equals(device)) {
          continue;
        }
        if (kind == FaultKind.REMOVED || kind == FaultKind.RETURNED) {
          // One that returns was gone, though nobody may have met that: its window is a dead one.
          if (isGone(mapped)) {
            lose(List.of(mapped.leg()), LegState.REMOVED, "its device was removed", now, later);
          }
        } else if (kind == FaultKind.POISON) {
          long from = Math.min(offset, capacity());
          long to = Math.min(offset + length, capacity());
          if (from < to) {
            diagnose(set, from, to - from, origin, now, later);
          }
        }
      }
      for (Leg leg : legs) {
        if (kind == FaultKind.REMOVED && leg.device().equals(device) && isGone(leg)) {
          leg.state(LegState.REMOVED); // Out of use before its device went: it can return now.
        }
      }
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Whether some leg that is read holds everything, besides the one given. */
  public boolean holdsEverythingWithout(int index) {
    failover.lock();
    try {
      return anotherHoldsEverything(index);
    } finally {
      failover.unlock();
    }
  }

  private boolean anotherHoldsEverything(int index) {
    return anotherHoldsEverything(index, Set.of());
  }

  private boolean anotherHoldsEverything(int index, Set<Integer> died) {
    LegSet set = current;
    for (Leg.Mapped reader : set.readers) {
      int other = reader.leg().index();
      if (other != index && !died.contains(other) && !Exclusions.concern(set.exclusions, other)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Serves again from a leg whose device is back, after every leg was lost. It must hold everything
   * that was acknowledged: its mark says so.
   *
   * @return false if it cannot be told to hold everything, or another leg serves
   */
  public boolean revive(int index) {
    Leg leg = legs.get(index);
    LegSet set = current;
    if (failed
        || set.readers.length > 0
        || config.marks().get(index) != LegMark.IN_SYNC
        || leg.device().state() != DeviceState.LIVE) {
      return false;
    }
    VolumeConfig found = SuperblockIo.read(leg.device()).config();
    if (!found.storeId().equals(config.storeId()) || !found.epoch().equals(config.epoch())) {
      return false;
    }
    Leg.Mapped back = new Leg.Mapped(leg, map(leg.device()));
    List<LegRange> bad = new ArrayList<>();
    for (BadRange range : leg.device().badBlocks()) {
      Exclusions.addPages(bad, index, range.offset(), range.length(), capacity());
    }
    for (LegRange range : config.bad()) {
      // What only an access told is not on the device's own list.
      if (range.leg() == index) {
        Exclusions.addPages(bad, index, range.offset(), range.length(), capacity());
      }
    }
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      if (current != set) {
        return false;
      }
      Exclusions exclusions = Exclusions.of(bad, List.of());
      if (readOnlyCause == null) {
        VolumeConfig next = config.withEpoch(config.epoch().next(random)).withBad(bad);
        next = next.withHistoryOf(index, RangeOrigin.DEVICE_LIST, wallClock.getAsLong());
        for (Leg other : legs) {
          if (other != leg && other.state() != LegState.DETACHED) {
            next = next.withDeparted(other.index(), config);
          }
        }
        if (!writeConfig(next, List.of(back), exclusions).isEmpty()) {
          return false;
        }
        refuseWritesFor(writeWitness(), later);
      }
      leg.state(bad.isEmpty() ? LegState.ONLINE : LegState.DEGRADED);
      // Writes that were stopped stay stopped, whatever returns.
      List<Leg.Mapped> writers = readOnlyCause == null ? List.of(back) : List.of();
      inForce(new LegSet(config.epoch(), List.of(back), writers, exclusions, false));
      long now = System.nanoTime();
      later.add(() ->
          news.publish(
              HealthEvent.Kind.STATE_CHANGED,
              -1,
              0,
              0,
              "leg " + index + " is back and serves",
              now));
      return true;
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Looks for what nobody told: legs that are gone, bad blocks that are not recorded. */
  public void lookAround() {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      long now = System.nanoTime();
      for (Leg.Mapped mapped : everyLeg(current)) {
        LegSet set = current;
        if (!everyLeg(set).contains(mapped)) {
          continue;
        }
        if (isGone(mapped)) {
          diagnose(set, 0, 1, RangeOrigin.DEVICE_LIST, now, later);
          continue;
        }
        for (BadRange range : mapped.leg().device().badBlocks()) {
          if (range.offset() < capacity()) {
            long length = Math.min(range.length(), capacity() - range.offset());
            diagnose(current, range.offset(), length, RangeOrigin.DEVICE_LIST, now, later);
          }
        }
      }
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Stops using a leg, if another one holds everything. */
  public void giveUp(int index, String why) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      if (anotherHoldsEverything(index)) {
        lose(List.of(legs.get(index)), LegState.FAULTED, why, System.nanoTime(), later);
      }
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /**
   * Stops using a leg because somebody asked for it, while its device answers: no operation fails
   * by that.
   *
   * @param why what to tell of it
   * @return false if no other leg holds everything; nothing changed then
   */
  public boolean leave(int index, String why) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      Leg leg = legs.get(index);
      if (everyLeg(current).stream().noneMatch(mapped -> mapped.leg() == leg)) {
        return true;
      }
      if (!anotherHoldsEverything(index)) {
        return false;
      }
      lose(List.of(leg), LegState.OFFLINE, why, System.nanoTime(), later);
      return true;
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Serves nothing any more, until the store is opened again. */
  public void fail(HoldfastException cause) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      failed = true;
      stopWritesLocked(cause, later);
      inForce(new LegSet(current.epoch, List.of(), List.of(), current.exclusions, false));
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Whether {@link #fail} was called. */
  public boolean hasFailed() {
    return failed;
  }

  /** Lets repairs end at their next step: the volume is about to be closed. */
  public void stop() {
    stopping = true;
  }

  /** Whether the volume is about to be closed. */
  public boolean isStopping() {
    return stopping;
  }

  void requireNotStopping() {
    if (stopping) {
      throw new StoreClosedException("the store is being closed");
    }
  }

  /** Gives a leg that was absent the device that is there now. */
  public void present(int leg, PmemDevice device) {
    device.raise(raised);
    legs.get(leg).device(device);
  }

  /** Stops using a leg that refused a flush, unless it is the last one: then writes are stopped. */
  private void refuse(Leg leg, String why, List<Runnable> later) {
    loseOrStopWrites(Set.of(leg.index()), why, System.nanoTime(), later);
  }

  /**
   * Stops using legs that refuse writes, unless no leg would be left to read though they answer:
   * the last good copy is not given up, writes are.
   */
  private void loseOrStopWrites(
      Set<Integer> refusing, String why, long caughtAt, List<Runnable> later) {
    boolean answers = true;
    for (Leg.Mapped mapped : everyLeg(current)) {
      if (refusing.contains(mapped.leg().index())) {
        answers &= !isGone(mapped) && !nothingAnswers(mapped);
      }
    }
    if (answers && without(current.readers, refusing).isEmpty()) {
      // What of it is on the medium nobody knows before it is read from there.
      stoppedForGood = true;
      stopWritesLocked(new DeviceIoException(why), later);
    } else {
      lose(refusing.stream().map(legs::get).toList(), LegState.FAULTED, why, caughtAt, later);
    }
  }

  /** Refuses writes from now on. Reads go on. */
  public void stopWrites(HoldfastException cause) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      stopWritesLocked(cause, later);
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Whether writes that were stopped cannot be taken up again while the volume is open. */
  public boolean isStoppedForGood() {
    return stoppedForGood;
  }

  /**
   * Writes again to the legs that are read: each of them holds everything. The others are marked,
   * as where they are lost. Called while no operation is under way.
   *
   * @param superblocks bad ranges of superblocks, which are rewritten from memory
   * @return why it is not possible, and nothing changed; null if it is done
   */
  public @Nullable HoldfastException resumeWrites(List<LegRange> superblocks) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      LegSet set = current;
      List<Leg.Mapped> readers = List.of(set.readers);
      HoldfastException refusal = refusalOf(readers);
      if (refusal != null) {
        return refusal;
      }
      VolumeConfig next = config.withEpoch(config.epoch().next(random));
      List<LegRange> recorded = next.bad();
      List<LegRange> bad = Exclusions.bad(set.exclusions);
      for (LegRange range : superblocks) {
        PmemDevice device = legs.get(range.leg()).device();
        BadRange _ = device.clearPoison(range.offset(), range.length());
        recorded = Exclusions.without(recorded, range);
        bad = Exclusions.without(bad, range);
        later.add(() -> device.dropBadBlocks(range.offset(), range.length()));
      }
      next = next.withBad(recorded);
      for (Leg leg : legs) {
        if (leg.state() != LegState.DETACHED && readers.stream().noneMatch(m -> m.leg() == leg)) {
          next = next.withDeparted(leg.index(), config);
        }
      }
      List<LegRange> writeOnly = Exclusions.writeOnly(set.exclusions);
      Exclusions left = Exclusions.of(bad, writeOnly);
      HoldfastException failed =
          writeConfig(next, readers, left).isEmpty()
              ? writeWitness()
              : new DeviceIoException("a superblock cannot be written");
      if (failed != null) {
        later.clear();
        HoldfastException refused = refusalOf(readers);
        return refused == null ? failed : refused;
      }
      readOnlyCause = null;
      for (Leg.Mapped reader : readers) {
        boolean whole = !Exclusions.concern(left, reader.leg().index());
        reader.leg().state(whole ? LegState.ONLINE : LegState.DEGRADED);
      }
      inForce(new LegSet(config.epoch(), readers, readers, left, !writeOnly.isEmpty()));
      long now = System.nanoTime();
      later.add(() ->
          news.publish(HealthEvent.Kind.STATE_CHANGED, -1, 0, 0, "writes are taken up again", now));
      return null;
    } catch (DeviceIoException | DeviceOfflineException e) {
      later.clear();
      return e;
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /**
   * Why legs cannot be written to any more: one refused a flush. The kernel tells that once, and
   * drops what it could not write; asked again it would say that all is well.
   */
  private @Nullable HoldfastException refusalOf(List<Leg.Mapped> asked) {
    for (Leg.Mapped mapped : asked) {
      if (mapped.leg().hasRefused()) {
        stoppedForGood = true;
        return new DeviceIoException(
            "leg " + mapped.leg().index() + " refused a flush: close the store and open it again");
      }
    }
    return null;
  }

  private void stopWritesLocked(HoldfastException cause, List<Runnable> later) {
    refuseWritesFor(cause, later);
    LegSet set = current;
    if (set.writers.length > 0) {
      inForce(new LegSet(set.epoch, List.of(set.readers), List.of(), set.exclusions, false));
    }
  }

  /** Notes that no write may be acknowledged any more; the next leg set has no writers then. */
  private void refuseWritesFor(@Nullable HoldfastException cause, List<Runnable> later) {
    if (cause == null || readOnlyCause != null) {
      return;
    }
    readOnlyCause = cause;
    long now = System.nanoTime();
    later.add(() -> {
      WritesStoppedNotice.emit(place(), String.valueOf(cause.getMessage()));
      news.publish(
          HealthEvent.Kind.STATE_CHANGED, -1, 0, 0, "READ_ONLY: " + cause.getMessage(), now);
    });
  }

  /**
   * Takes up that the medium of a leg does not write any more, though its memory may answer.
   *
   * @return whether the leg is still used: it is the last copy, and writes were stopped
   */
  boolean refused(Leg leg, String why) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      if (isUsed(leg)) {
        refuse(leg, why, later);
      }
      return isUsed(leg);
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  /** Whether operations use a leg. */
  public boolean isUsed(Leg leg) {
    return everyLeg(current).stream().anyMatch(mapped -> mapped.leg() == leg);
  }

  private static boolean isGone(Leg leg) {
    return leg.state() == LegState.FAULTED && leg.device().state() == DeviceState.DEAD;
  }

  /**
   * Carries the superblock of a leg to its medium where the mode does not: the medium alone may be
   * what comes back of it, and it must not be older than one change.
   *
   * @param carried what this returned last
   * @throws DeviceIoException if the medium refused
   */
  long carrySuperblock(Leg leg, long carried) {
    long sequence = config.sequence();
    if (sequence != carried && isUsed(leg)) {
      carrySuperblock(leg.device()); // By the heartbeat, which may take its time.
    }
    return sequence;
  }

  private static void carrySuperblock(PmemDevice device) {
    if (device.persistenceMode() == PersistenceMode.PROCESS) {
      device.writeBack("superblock", 0, VolumeLayout.DIRTY_MAP_OFFSET);
      device.fence("superblock");
    }
  }

  /** Loses legs whose pages can be read but take no stores: what they lie on was shut down. */
  private boolean losePlacesWithoutStores(
      LegSet set, long offset, long length, List<Runnable> later) {
    Set<Integer> refusing = new TreeSet<>();
    long end = Math.min(offset + Math.max(1, length), capacity());
    for (Leg.Mapped writer : set.writers) {
      int leg = writer.leg().index();
      for (long page = offset / pageSize * pageSize; page < end; page += pageSize) {
        boolean excluded =
            set.exclusions != null && set.exclusions.forbidWriting(leg, page, pageSize);
        if (!excluded && writer.window().refusesStores(page, pageSize)) {
          refusing.add(leg);
        }
      }
    }
    if (refusing.isEmpty()) {
      return false;
    }
    loseOrStopWrites(refusing, "its pages take no stores", System.nanoTime(), later);
    return true;
  }

  private boolean diagnose(
      LegSet set,
      long offset,
      long length,
      RangeOrigin origin,
      long caughtAt,
      List<Runnable> later) {
    List<Leg> gone = new ArrayList<>();
    List<Leg> silent = new ArrayList<>();
    List<LegRange> poisoned = new ArrayList<>();
    for (Leg.Mapped mapped : everyLeg(set)) {
      Leg leg = mapped.leg();
      if (isGone(mapped)) {
        leg.countFault();
        gone.add(leg);
        continue;
      }
      List<LegRange> bad = badPages(set, mapped, offset, length);
      if (!bad.isEmpty()) {
        leg.countFault();
        if (nothingAnswers(mapped)) {
          silent.add(leg);
        } else {
          poisoned.addAll(bad);
        }
      }
    }
    if (!gone.isEmpty()) {
      lose(gone, LegState.REMOVED, "its device is gone", caughtAt, later);
      return true;
    }
    if (!silent.isEmpty()) {
      // A device that says it is there: its heartbeat finds out what it lies on, and lets go of it.
      lose(silent, LegState.FAULTED, "its memory faults everywhere", caughtAt, later);
      return true;
    }
    if (!poisoned.isEmpty()) {
      losePages(poisoned, origin, caughtAt, later);
      return true;
    }
    return false;
  }

  private static List<Leg.Mapped> everyLeg(LegSet set) {
    List<Leg.Mapped> all = new ArrayList<>(List.of(set.readers));
    for (Leg.Mapped writer : set.writers) {
      if (!all.contains(writer)) {
        all.add(writer);
      }
    }
    return all;
  }

  private static boolean isGone(Leg.Mapped mapped) {
    PmemDevice device = mapped.leg().device();
    return device.state() == DeviceState.DEAD
        || device.generation() != mapped.window().generation();
  }

  private List<LegRange> badPages(LegSet set, Leg.Mapped mapped, long offset, long length) {
    List<LegRange> bad = new ArrayList<>();
    int leg = mapped.leg().index();
    long end = Math.min(offset + Math.max(1, length), capacity());
    for (long page = offset / pageSize * pageSize; page < end; page += pageSize) {
      boolean known = set.exclusions != null && set.exclusions.forbidWriting(leg, page, pageSize);
      if (!known && !Leg.answers(mapped.window(), page)) {
        bad.add(new LegRange(leg, page, pageSize));
      }
    }
    return bad;
  }

  private boolean nothingAnswers(Leg.Mapped mapped) {
    long step = Math.max(pageSize, capacity() / PROBES / pageSize * pageSize);
    for (long at = 0; at < capacity(); at += step) {
      if (Leg.answers(mapped.window(), at)) {
        return false;
      }
    }
    return true;
  }

  /** L3, under {@code failover}. */
  private void lose(
      List<Leg> first, LegState why, String detail, long caughtAt, List<Runnable> later) {
    LegSet before = current;
    Set<Integer> lost = new TreeSet<>();
    for (Leg leg : first) {
      lost.add(leg.index());
      leg.state(leg.device().state() == DeviceState.DEAD ? LegState.REMOVED : why);
    }
    List<Leg.Mapped> readers = without(before.readers, lost);
    current =
        new LegSet(
            before.epoch, readers, List.of(before.writers), before.exclusions, before.copying);
    long readSwitchedAt = System.nanoTime();
    int lostFirst = first.get(0).index();
    observer.reached(SwitchObserver.Step.READ_SWITCHED, lostFirst);

    VolumeConfig old = config;
    VolumeConfig next = old;
    List<Leg.Mapped> writers = without(before.writers, lost);
    HoldfastException witnessFailure = null;
    // A volume that refuses writes has readers and no writers: nothing is marked, nothing can be
    // acknowledged that would need it, and a leg that returns is in sync as it was.
    while (!readers.isEmpty() && !writers.isEmpty()) {
      next = old.withEpoch(old.epoch().next(random));
      for (int index : lost) {
        next = next.withDeparted(index, old);
      }
      Set<Integer> died =
          writeConfig(
              next,
              writers,
              before.exclusions,
              survivor -> observer.reached(SwitchObserver.Step.SURVIVOR_MARKED, survivor));
      if (died.isEmpty()) {
        observer.reached(SwitchObserver.Step.MARKS_DURABLE, lostFirst);
        witnessFailure = writeWitness();
        observer.reached(SwitchObserver.Step.WITNESS_WRITTEN, lostFirst);
        break;
      }
      lost.addAll(died);
      for (int index : died) {
        legs.get(index).state(LegState.REMOVED);
      }
      readers = without(before.readers, lost);
      writers = without(before.writers, lost);
    }
    long markedAt = System.nanoTime();
    // Before the write set: nothing is acknowledged without a witness.
    refuseWritesFor(witnessFailure, later);
    if (readers.isEmpty() || readOnlyCause != null) {
      // A leg that is only being copied to serves nobody.
      writers = List.of();
    }
    Exclusions left = Exclusions.withoutLegs(before.exclusions, lost);
    boolean copying = writers.size() > readers.size() || !Exclusions.writeOnly(left).isEmpty();
    inForce(new LegSet(config.epoch(), readers, writers, left, copying));
    long writeSwitchedAt = System.nanoTime();
    observer.reached(SwitchObserver.Step.WRITE_SWITCHED, lostFirst);
    boolean served = !readers.isEmpty();
    boolean marked = !writers.isEmpty();
    int legsLeft = readers.size();
    LegLostNotice.Times times =
        new LegLostNotice.Times(caughtAt, readSwitchedAt, markedAt, writeSwitchedAt);
    for (int index : lost) {
      later.add(() -> {
        LegLostNotice.emit(legs.get(index), detail, legsLeft, times, marked);
        news.publish(HealthEvent.Kind.FAULT_CAUGHT, index, 0, capacity(), detail, caughtAt);
        news.publish(HealthEvent.Kind.READ_SWITCHED, index, 0, capacity(), detail, readSwitchedAt);
        if (marked) {
          news.publish(
              HealthEvent.Kind.MARK_DURABLE, index, 0, 0, "epoch " + config.epoch(), markedAt);
          news.publish(
              HealthEvent.Kind.WRITE_SWITCHED, index, 0, capacity(), detail, writeSwitchedAt);
        }
        news.publish(
            HealthEvent.Kind.STATE_CHANGED,
            -1,
            0,
            0,
            served ? "DEGRADED: leg " + index + " was lost" : "FAILED: no leg is left",
            writeSwitchedAt);
        news.report(index, FaultKind.REMOVED, 0, capacity());
      });
    }
  }

  /** L4, under {@code failover}. */
  private void losePages(
      List<LegRange> pages, RangeOrigin origin, long caughtAt, List<Runnable> later) {
    LegSet before = current;
    List<LegRange> bad = Exclusions.bad(before.exclusions);
    List<LegRange> writeOnly = Exclusions.writeOnly(before.exclusions);
    for (LegRange page : pages) {
      bad = Exclusions.with(bad, page);
      writeOnly = Exclusions.without(writeOnly, page);
    }
    Exclusions exclusions = Exclusions.of(bad, writeOnly);
    for (LegRange page : pages) {
      legs.get(page.leg()).state(LegState.DEGRADED);
    }
    later.add(() -> {
      for (LegRange page : pages) {
        BadRangeNotice.emit(legs.get(page.leg()), page, origin);
        news.publish(
            HealthEvent.Kind.FAULT_CAUGHT,
            page.leg(),
            page.offset(),
            page.length(),
            "poison",
            caughtAt);
        news.publish(
            HealthEvent.Kind.RANGE_POISONED,
            page.leg(),
            page.offset(),
            page.length(),
            "poison",
            caughtAt);
        news.report(page.leg(), FaultKind.POISON, page.offset(), page.length());
      }
    });
    VolumeConfig old = config;
    List<LegRange> recorded = old.bad();
    for (LegRange page : pages) {
      recorded = Exclusions.with(recorded, page);
    }
    RangeHistory history = old.history();
    for (LegRange range : Exclusions.joined(pages)) {
      UUID device = old.devices().get(range.leg());
      history =
          history.found(device, range.offset(), range.length(), origin, wallClock.getAsLong());
    }
    List<Leg.Mapped> writers = List.of(before.writers);
    Set<Integer> died = Set.of();
    if (writers.isEmpty()) {
      config = old.withHistory(history); // Nothing can be written: known as long as it is open.
    } else {
      VolumeConfig next =
          old.withBad(recorded).withHistory(history).withEpoch(old.epoch().next(random));
      died = writeConfig(next, writers, exclusions);
      refuseWritesFor(writeWitness(), later);
    }
    if (readOnlyCause != null) {
      writers = List.of();
    }
    inForce(
        new LegSet(config.epoch(), List.of(before.readers), writers, exclusions, before.copying));
    if (!died.isEmpty()) {
      if (died.size() == before.writers.length) {
        stopWritesLocked(
            new PoisonedRangeException(
                "both places of the superblock are poisoned, and no other leg has one"),
            later);
      } else {
        loseOrStopWrites(died, "its superblock cannot be written", caughtAt, later);
      }
    }
  }

  private static List<Leg.Mapped> without(Leg.Mapped[] mapped, Set<Integer> lost) {
    List<Leg.Mapped> rest = new ArrayList<>();
    for (Leg.Mapped m : mapped) {
      if (!lost.contains(m.leg().index())) {
        rest.add(m);
      }
    }
    return rest;
  }

  // ---------------------------------------------------------------- the durable truth

  /**
   * Makes a configuration the truth on the given legs.
   *
   * @return the legs that could not take it
   */
  private Set<Integer> writeConfig(
      VolumeConfig next, List<Leg.Mapped> to, @Nullable Exclusions exclusions) {
    return writeConfig(next, to, exclusions, leg -> {});
  }

  private Set<Integer> writeConfig(
      VolumeConfig next,
      List<Leg.Mapped> to,
      @Nullable Exclusions exclusions,
      IntConsumer written) {
    VolumeConfig numbered = recorded(next, to).withSequence(config.sequence() + 1);
    Set<Integer> died = new TreeSet<>();
    for (Leg.Mapped mapped : to) {
      boolean taken =
          !abandoned
              && SuperblockIo.write(
                  mapped, numbered, exclusions, (leg, call) -> waitFor(leg, died, call));
      if (!taken) {
        died.add(mapped.leg().index());
      } else {
        written.accept(mapped.leg().index());
      }
    }
    if (died.size() < to.size()) {
      config = numbered;
    }
    return died;
  }

  /**
   * Has what is on record of bad ranges say what is excluded by {@code next}: not of a leg that is
   * not written, which is as it was, nor of one that is only being copied to.
   */
  private VolumeConfig recorded(VolumeConfig next, List<Leg.Mapped> to) {
    VolumeConfig recorded = next;
    boolean isSame = next.bad().equals(config.bad()) && next.marks().equals(config.marks());
    for (Leg.Mapped mapped : isSame ? List.<Leg.Mapped>of() : to) {
      int leg = mapped.leg().index();
      if (next.markOf(leg) == LegMark.IN_SYNC) {
        recorded = recorded.withHistoryOf(leg, RangeOrigin.RESILVER, wallClock.getAsLong());
      }
    }
    return recorded;
  }

  private @Nullable HoldfastException writeWitness() {
    Witness witness = Witness.of(config);
    try {
      // No leg covers it: it is waited for as long as it takes, and counts as silence.
      media.make(
          "the witness",
          () -> {},
          () -> false,
          () -> {
            witnessing.lock();
            try {
              if (abandoned) {
                throw new DeviceIoException(witnessFile + ": not written: the store is closed");
              }
              witness.write(witnessFile);
            } finally {
              witnessing.unlock();
            }
          });
      return null;
    } catch (DeviceIoException | DeviceOfflineException e) {
      LOG.log(Level.ERROR, "the witness cannot be written", e);
      return e;
    }
  }

  /**
   * Changes the configuration on every leg that is written, under the small lock, with no epoch of
   * its own.
   *
   * @throws ReadOnlyStoreException if writes were stopped
   */
  public void configure(UnaryOperator<VolumeConfig> change) {
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      while (true) {
        LegSet set = writableLegs();
        Set<Integer> died = writeConfig(change.apply(config), List.of(set.writers), set.exclusions);
        if (died.isEmpty()) {
          return;
        }
        loseOrStopWrites(died, "its superblock cannot be written", System.nanoTime(), later);
      }
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
  }

  // ---------------------------------------------------------------- growth

  /**
   * Has a range mapped on every leg of the write set, before somebody stores there, and loads a
   * byte of each page: where page tables are shadowed by a hypervisor, an entry is made by the
   * first access only. Not by who waits for a grace period, or is within an operation.
   */
  public void populate(long offset, long length) {
    int entered = grace.enter(); // Or a window might be unmapped under the loads.
    try {
      if (stopping) {
        return; // It is closed, perhaps by somebody who has waited for operations already.
      }
      for (Leg.Mapped writer : current.writers) {
        if (offset + length <= writer.leg().device().capacity()
            && writer.window().populate(offset, length)) {
          for (long at = offset; at < offset + length; at += pageSize) {
            Gateway.touch(writer.window(), at);
          }
        }
      }
      Gateway.barrier();
    } catch (InternalError e) {
      // Nothing was asked for that anybody needs: who does will meet the fault.
    } finally {
      grace.exit(entered);
    }
  }

  /** Whether blocks of unused pages may have been given back, in this life or a former one. */
  public boolean isSparse() {
    return Files.exists(sparseMark());
  }

  private Path sparseMark() {
    return witnessFile.resolveSibling("sparse");
  }

  /**
   * Says durably that blocks of unused pages will have been given back, before the first are.
   *
   * @throws DeviceIoException if that cannot be written
   */
  public void markSparse() {
    if (isSparse()) {
      return;
    }
    try {
      DurableFile.create(sparseMark());
    } catch (IOException e) {
      throw new DeviceIoException(sparseMark() + ": cannot be created: " + e.getMessage(), e);
    }
  }

  /**
   * Gives the blocks of pages back that nobody uses, on every leg that is written.
   *
   * @return whether any leg could
   */
  public boolean giveBack(long offset, long length) {
    boolean any = false;
    for (Leg.Mapped writer : current.writers) {
      any |= writer.leg().device().giveBack(offset, length);
    }
    return any;
  }

  /**
   * Takes blocks for pages again whose blocks may have been given back.
   *
   * @throws OutOfSpaceException if the place of a leg has no room
   */
  public void reserve(long offset, long length) {
    growing.lock();
    try {
      LegSet set = writableLegs();
      for (Leg.Mapped writer : set.writers) {
        try {
          waitFor(set, writer.leg(), () -> writer.leg().device().reserve(offset, length));
        } catch (DeviceIoException e) {
          throw new DeviceFault(set, writer.leg(), "no blocks: " + e.getMessage());
        } catch (DeviceOfflineException e) {
          recoverWhole(set);
          throw new LegSetChanged();
        }
      }
    } finally {
      growing.unlock();
    }
  }

  /**
   * Makes the volume at least so many bytes large, on every leg that is written.
   *
   * @throws OutOfSpaceException if a leg's place has no room: the volume is as large as it was;
   *     what legs have grown by is used by the next growth
   */
  public void grow(long bytes) {
    if (bytes > VolumeLayout.MAX_CAPACITY) {
      throw new OutOfSpaceException(
          "volume: expected at most " + VolumeLayout.MAX_CAPACITY + " bytes, was " + bytes);
    }
    growing.lock();
    try {
      if (bytes <= capacity()) {
        return;
      }
      LegSet set = writableLegs();
      for (Leg.Mapped writer : set.writers) {
        try {
          inSteps(writer.leg().device(), bytes, step -> waitFor(set, writer.leg(), step));
        } catch (DeviceIoException e) {
          throw new DeviceFault(set, writer.leg(), "cannot grow: " + e.getMessage());
        } catch (DeviceOfflineException e) {
          recoverWhole(set);
          throw new LegSetChanged();
        }
      }
      configure(config -> config.withCapacity(Math.max(config.capacity(), bytes)));
    } finally {
      growing.unlock();
    }
  }

  /** As the other legs have grown while it was away, with blocks for all that they may store. */
  void growAlong(Leg leg, PmemDevice device) {
    long all = capacity(); // Who is not kept from it may grow meanwhile.
    inSteps(device, all, step -> waitOrFail(leg, step));
    for (long at = 0; isSparse() && at < all; at += GROWN_AT_ONCE) {
      long from = at;
      long length = Math.min(GROWN_AT_ONCE, all - from);
      waitOrFail(leg, () -> device.reserve(from, length));
    }
  }

  /** A medium that is given gigabytes at once looks as one that does not answer. */
  private void inSteps(PmemDevice device, long bytes, Consumer<Runnable> call) {
    // What a growth that a crash cut off has left may lack blocks.
    long known = capacity();
    long there = Math.min(device.capacity(), bytes);
    if (there > known) {
      call.accept(() -> device.reserve(known, there - known));
    }
    while (device.capacity() < bytes) {
      long next = Math.min(bytes, device.capacity() + GROWN_AT_ONCE);
      call.accept(() -> device.grow(next));
    }
  }

  /** Runs something that must not meet a growth half-way. */
  void whileItKeepsItsSize(Runnable body) {
    growing.lock();
    try {
      body.run();
    } finally {
      growing.unlock();
    }
  }

  /** Looks at every leg of the set as a whole. */
  private void recoverWhole(LegSet set) {
    recover(new DeviceFault(set, 0, 1));
  }

  // ---------------------------------------------------------------- repair

  /** The bad ranges in force that have not been repaired. */
  public List<LegRange> badRanges() {
    return Exclusions.bad(current.exclusions);
  }

  /** Whether a leg is in the write set. */
  public boolean isWritten(int leg) {
    LegSet set = current;
    return List.of(set.writers).stream().anyMatch(writer -> writer.leg().index() == leg);
  }

  /** What is on record of the device of a leg, and what is excluded of it beyond that. */
  public RangeLog rangesOf(int leg) {
    UUID device = config.devices().get(leg);
    return RangeLog.of(config.history().of(device), leg, current.exclusions);
  }

  /** Notes durably of ranges that it is known what it means that they are bad. */
  public void acknowledge(List<LegRange> ranges) {
    changeHistory(old -> {
      RangeHistory next = old.history();
      for (LegRange range : ranges) {
        UUID device = old.devices().get(range.leg());
        next = next.acked(device, range.offset(), range.length(), wallClock.getAsLong());
      }
      return next;
    });
  }

  /** Forgets the ranges that were cleared so many milliseconds ago, and did not fail since. */
  public void ageRanges(long age) {
    changeHistory(old -> old.history().aged(old.devices(), wallClock.getAsLong(), age));
  }

  private void changeHistory(Function<VolumeConfig, RangeHistory> change) {
    VolumeConfig now = config;
    if (readOnlyCause != null || change.apply(now).equals(now.history())) {
      return;
    }
    try {
      configure(old -> old.withHistory(change.apply(old)));
    } catch (ReadOnlyStoreException | DeviceOfflineException e) {
      LOG.log(Level.DEBUG, "what is on record of bad ranges stays as it is: " + e.getMessage());
    }
  }

  /** How many bad ranges of a leg lie apart from each other. */
  public int countBadRanges(int leg) {
    return Exclusions.countApart(Exclusions.bad(current.exclusions), leg);
  }

  /** Whether another leg holds the range of a leg that is bad, or another place of any leg does. */
  public boolean hasOtherCopy(LegRange range) {
    LegSet set = current;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (set.legOf(reader) != range.leg() && set.canRead(reader, range.offset(), range.length())) {
        return true;
      }
    }
    for (long at = range.offset(); at < range.end(); at += pageSize) {
      if (secondCopyOf(set, at, (int) Math.min(pageSize, range.end() - at)) < 0) {
        return false;
      }
    }
    return true;
  }

  /** Says what lies on each leg twice. */
  public void secondCopies(SecondCopies copies) {
    secondCopies = copies;
  }

  SecondCopies secondCopies() {
    return secondCopies;
  }

  /** Where a page, or a part of one, can be read though its place is bad everywhere; or -1. */
  long secondCopyOf(LegSet set, long offset, int length) {
    long second = secondCopies.of(offset);
    return second >= 0 && set.readerOf(second, length) >= 0 ? second : -1;
  }

  /** Cuts a bad range into parts that another leg can serve, and parts that none can. */
  public List<LegRange> byCopy(LegRange range) {
    List<LegRange> parts = new ArrayList<>();
    long from = range.offset();
    boolean has = false;
    for (long at = range.offset(); at < range.end(); at = LegSet.nextStep(at, pageSize)) {
      long length = Math.min(range.end(), LegSet.nextStep(at, pageSize)) - at;
      boolean now = hasOtherCopy(new LegRange(range.leg(), at, length));
      if (at > from && now != has) {
        parts.add(new LegRange(range.leg(), from, at - from));
        from = at;
      }
      has = now;
    }
    parts.add(new LegRange(range.leg(), from, range.end() - from));
    return parts;
  }

  /**
   * Repairs a bad range in place: clear the poison, write to it again but do not read it, wait
   * until everybody does, copy, flush, read back, drop the record.
   *
   * @param zero whether no copy is left: the range is zeroed instead
   * @return false if it has to be tried again, or never can be
   */
  public boolean repair(LegRange range, boolean zero, long graceNanos) {
    return tryRepair(range, zero, graceNanos) == null;
  }

  /** Does what {@link #repair} does, and says why it could not; null if it is done. */
  public @Nullable HoldfastException tryRepair(LegRange range, boolean zero, long graceNanos) {
    return new PageRepair(this).repair(range, zero, graceNanos);
  }

  /**
   * Brings a leg back, or makes a fresh one complete: copies to it what it lacks. One at a time.
   *
   * @param bytesPerSecond the most that is copied in a second
   * @param rest where the copier lets others do what must not meet it
   */
  public void resilver(int leg, long graceNanos, long bytesPerSecond, Resilver.Rest rest) {
    new Resilver(this, news, rest, bytesPerSecond).resilver(legs.get(leg), graceNanos);
  }

  /** How far the leg is that is copied to, or was last; null if none was. */
  public @Nullable CopyState copyState() {
    return copyState;
  }

  void copyState(CopyState next) {
    copyState = next;
  }

  DirtyMap dirtyMap() {
    return dirty;
  }

  /** Puts another set in force if {@code change} finds one, and returns what is in force then. */
  LegSet change(UnaryOperator<LegSet> change) {
    failover.lock();
    try {
      inForce(change.apply(current));
      return current;
    } finally {
      failover.unlock();
    }
  }

  /**
   * Changes configuration and leg set together: configuration first, durably, with a new epoch.
   *
   * @return false if a leg could not take it; nothing changed in DRAM then but what that loss
   *     caused
   */
  boolean changeDurably(
      UnaryOperator<VolumeConfig> configChange,
      List<Leg.Mapped> extra,
      UnaryOperator<LegSet> setChange) {
    List<Leg.Mapped> changedLegs;
    List<Runnable> later = new ArrayList<>();
    failover.lock();
    try {
      LegSet set = writableLegs();
      List<Leg.Mapped> to = new ArrayList<>(List.of(set.writers));
      for (Leg.Mapped mapped : extra) {
        if (!to.contains(mapped)) {
          to.add(0, mapped);
        }
      }
      VolumeConfig next = configChange.apply(config.withEpoch(config.epoch().next(random)));
      Set<Integer> died = writeConfig(next, to, set.exclusions);
      if (!died.isEmpty()) {
        Set<Integer> inSet = new TreeSet<>(died);
        inSet.removeIf(index -> everyLeg(set).stream().noneMatch(m -> m.leg().index() == index));
        if (!inSet.isEmpty()) {
          loseOrStopWrites(inSet, "its superblock cannot be written", System.nanoTime(), later);
        }
        return false;
      }
      HoldfastException witnessFailure = writeWitness();
      if (witnessFailure != null) {
        stopWritesLocked(witnessFailure, later);
        return false;
      }
      LegSet changed = setChange.apply(current);
      current =
          new LegSet(
              config.epoch(),
              List.of(changed.readers),
              List.of(changed.writers),
              changed.exclusions,
              changed.copying);
      changedLegs = to;
    } finally {
      failover.unlock();
      later.forEach(Runnable::run);
    }
    for (Leg.Mapped mapped : changedLegs) {
      try {
        // Off the data path: a mark that another leg does not have any more must not come back.
        waitFor(mapped.leg(), () -> carrySuperblock(mapped.leg().device()));
      } catch (MediumCalls.Silent e) {
        boolean _ = recover(new DeviceFault(legs(), mapped.leg(), e.why(), true));
      } catch (DeviceIoException | DeviceOfflineException e) {
        boolean _ =
            recover(new DeviceFault(legs(), mapped.leg(), "flush failed: " + e.getMessage()));
      }
    }
    return true;
  }

  /** Writes the superblock of one leg again, as it is. */
  boolean rewriteSuperblock(Leg.Mapped to) {
    failover.lock();
    try {
      return SuperblockIo.write(to, config, null, this::waitFor);
    } finally {
      failover.unlock();
    }
  }

  /**
   * Finds copies of the superblock that are not what was written last, on the legs that are read
   * and written, but for pages that are bad.
   *
   * @param read is told each leg and how many bytes of it were read
   * @return null if the caller was interrupted, or the volume is being closed, while somebody else
   *     changed the legs: nothing was looked at
   */
  public @Nullable List<LegRange> wrongSuperblocks(BiConsumer<Integer, Integer> read) {
    // Who holds the lock may wait for a medium that hangs; a scrub can be ended all the same.
    while (!TimedLock.tryUntil(failover, System.nanoTime() + LOOK_NANOS)) {
      if (Thread.currentThread().isInterrupted() || stopping) {
        return null;
      }
    }
    try {
      List<LegRange> wrong = new ArrayList<>();
      LegSet set = current;
      for (Leg.Mapped writer : set.writers) {
        if (List.of(set.readers).contains(writer)) {
          wrong.addAll(SuperblockIo.inspect(writer, config, set.exclusions, read));
        }
      }
      return wrong;
    } finally {
      failover.unlock();
    }
  }

  /** Writes the superblock of a leg again, as it is; whether both places are right then. */
  public boolean repairSuperblock(int leg) {
    for (Leg.Mapped writer : current.writers) {
      if (writer.leg().index() == leg && rewriteSuperblock(writer)) {
        List<LegRange> wrong = wrongSuperblocks((_, _) -> {});
        return wrong != null && wrong.stream().noneMatch(range -> range.leg() == leg);
      }
    }
    return false;
  }

  RegionLocks regions() {
    return regions;
  }

  int pageSize() {
    return pageSize;
  }

  // ---------------------------------------------------------------- idle work and close

  /** Clears the dirty bits of regions that were not written for a while. */
  public void settle(long graceNanos) {
    LegSet set = current;
    if (readOnlyCause != null || !(isWhole(set) || allCarry(set))) {
      return;
    }
    try {
      dirty.clearIdle(this, set, grace, graceNanos);
    } catch (DeviceFault fault) {
      recover(fault);
    } catch (LegSetChanged | DeviceOfflineException | ReadOnlyStoreException changed) {
      // The bits stay: they are cleared when the legs are whole again.
    }
  }

  private boolean isWhole(LegSet set) {
    int all = countLegs();
    return set.readers.length == all
        && set.writers.length == all
        && set.exclusions == null
        && !set.copying;
  }

  /** Whether all legs are written, and the one that is not read knows by itself what it lacks. */
  private boolean allCarry(LegSet set) {
    int all = countLegs();
    boolean carried =
        set.writers.length == all && set.readers.length == all - 1 && set.exclusions == null;
    for (Leg.Mapped writer : set.writers) {
      carried &= List.of(set.readers).contains(writer) || dirty.isCarriedBy(writer);
    }
    return carried;
  }

  /** Whether a byte lies in a region that may differ between legs after a crash. */
  public boolean isDirty(long offset) {
    return dirty.isDirty(offset);
  }

  /**
   * Closes in order: everything flushed, nothing dirty where all legs are whole, the summary on
   * every leg. Called when no operation runs; does what it can when legs are gone.
   *
   * @param summary what the records are; null leaves the mark of an open store
   */
  public void closeInOrder(VolumeConfig.@Nullable Summary summary, long sequence, long graceNanos) {
    try {
      LegSet set = current;
      if (set.writers.length == 0 || summary == null) {
        return;
      }
      // What is not dirty was flushed before it was called clean.
      if (!isWhole(set) || !dirty.clearAll(this, set, grace, graceNanos)) {
        for (long at = 0; at < capacity(); at += CLOSE_PIECE) {
          flush("close", set, at, Math.min(CLOSE_PIECE, capacity() - at));
        }
      }
      configure(config -> config.withSequenceCeiling(sequence).withSummary(summary));
    } catch (DeviceFault | LegSetChanged | HoldfastException e) {
      LOG.log(Level.WARNING, "closed without a summary: " + e.getMessage());
    }
  }

  /** Makes a set the one that operations use; under {@code failover}. */
  private void inForce(LegSet next) {
    current = abandoned ? none(next) : next;
  }

  private static LegSet none(LegSet set) {
    return new LegSet(set.epoch, List.of(), List.of(), set.exclusions, false);
  }

  /**
   * Has nobody use anything any more: who waits for a medium is told, no leg is in force, and what
   * is durable stays as it is. The devices are closed next, whoever is in them.
   */
  public void abandon() {
    abandoned = true;
    media.end();
    // Who holds the lock waits for a medium, and that has ended, or for memory that does not come.
    boolean locked = TimedLock.tryUntil(failover, System.nanoTime() + ABANDON_NANOS);
    current = none(current);
    if (locked) {
      failover.unlock();
    }
  }

  /** Does something once nobody writes the witness; when the volume is abandoned nobody will. */
  public void behindTheWitness(Runnable body) {
    witnessing.lock();
    try {
      body.run();
    } finally {
      witnessing.unlock();
    }
  }

  /**
   * Unmaps all windows.
   *
   * @param quiet whether it is certain that no operation is under way; if not, they are left to the
   *     devices, which turn every access into a fault
   */
  public void unmap(boolean quiet) {
    LegSet set = change(old -> new LegSet(old.epoch, List.of(), List.of(), old.exclusions, false));
    if (quiet) {
      for (Window window : windows) {
        window.close();
      }
    }
    assert set.readers.length == 0;
    media.end();
  }

  /**
   * Unmaps the windows of legs that went out of use, once no operation can be in one: a leg that
   * comes and goes must not use up address space. Not while a leg is being brought back, whose
   * window is not in force yet.
   */
  public void retireWindows(long graceNanos) {
    List<Window> retired = new ArrayList<>(windows);
    failover.lock();
    try {
      // Who probes does so under this lock, in windows that are in force.
      for (Leg.Mapped mapped : everyLeg(current)) {
        retired.remove(mapped.window());
      }
    } finally {
      failover.unlock();
    }
    if (!retired.isEmpty() && grace.await(graceNanos)) {
      windows.removeAll(retired);
      retired.forEach(Window::close);
    }
  }

  /** Maps a device for as long as the volume uses it. */
  Window map(PmemDevice device) {
    Window window = device.map();
    windows.add(window);
    return window;
  }

  void adopt(Window window) {
    windows.add(window);
  }
}
