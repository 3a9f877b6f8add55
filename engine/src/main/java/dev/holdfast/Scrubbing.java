package dev.holdfast;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.RangeOrigin;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.tree.ScrubContact;
import dev.holdfast.tree.ScrubTally;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeNews;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * When everything is read and verified: now and then in the background, and when a user asks for
 * it. One leaf is scrubbed at a time; what a user asked for goes first.
 *
 * <p><b>Threads:</b> {@link #now} those of users, one at a time; {@link #figures} any. The thread
 * in the background is there while the store is open, and mostly sleeps.
 */
final class Scrubbing {
  private static final System.Logger LOG = System.getLogger(Scrubbing.class.getName());

  /** How often the thread looks whether a pass is due. */
  private static final long LOOK_NANOS = 1_000_000_000L;

  /** From then on it is written down since when nothing was scrubbed. */
  private static final long SETTLED_NANOS = 60_000_000_000L;

  /** So often people are told how far it is, in leaves. */
  private static final int TELL_EVERY = 16;

  /** And no more often than this it is in a flight recording. */
  private static final long RECORD_NANOS = 100_000_000L;

  private static final double NANOS = 1e9;

  private final Settings settings;
  private final Tree tree;
  private final Volume volume;
  private final FaultResponse response;
  private final VolumeNews news;
  private final UUID store;
  private final Runnable besides;

  /** Held while a leaf is scrubbed; fair, so that a user waits for one leaf and not for a pass. */
  private final ReentrantLock turn = new ReentrantLock(true);

  private final AtomicBoolean asked = new AtomicBoolean();
  private volatile boolean ends;

  /** Whether somebody else may have the store by now. */
  private volatile boolean isLeft;

  private volatile @Nullable Thread thread;
  private volatile @Nullable Pass background;
  private volatile @Nullable Pass foreground;
  private volatile @Nullable ScrubReport last;
  private volatile ScrubCursor cursor;

  /** The cursor that is in the file. */
  private @Nullable ScrubCursor written;

  private long writtenAt;

  /**
   * What a builder says.
   *
   * @param every how far apart passes in the background begin; zero: there are none
   * @param bytesPerSecond how fast these read, all legs together
   * @param file where the cursor is kept
   * @param checkpoint how often it is written
   * @param clock nanoseconds that never go backwards
   */
  record Settings(
      Duration every, long bytesPerSecond, Path file, Duration checkpoint, LongSupplier clock) {}

  /**
   * @param besides what else is read and mended with each pass
   */
  Scrubbing(
      Settings settings,
      Tree tree,
      Volume volume,
      FaultResponse response,
      VolumeNews news,
      Runnable besides) {
    this.besides = besides;
    this.settings = settings;
    this.tree = tree;
    this.volume = volume;
    this.response = response;
    this.news = news;
    this.store = volume.config().storeId();
    ScrubCursor found = ScrubCursor.read(settings.file, store);
    this.written = found;
    this.cursor = found == null ? ScrubCursor.fresh(store, System.currentTimeMillis()) : found;
    this.writtenAt = settings.clock.getAsLong();
  }

  /** Begins to scrub in the background, if that is wanted. */
  void begin() {
    if (settings.every.isZero()) {
      return;
    }
    Thread fresh = Thread.ofPlatform().daemon().name("holdfast-scrub").unstarted(this::run);
    thread = fresh;
    fresh.start();
  }

  // ---------------------------------------------------------------- what users ask for

  /**
   * Scrubs everything, as fast as it can.
   *
   * @throws IllegalStateException if somebody else does
   */
  ScrubReport now(Consumer<ScrubProgress> progress) {
    if (!asked.compareAndSet(false, true)) {
      throw new IllegalStateException(settings.file.getParent() + ": the store is being scrubbed");
    }
    turn.lock();
    try {
      Pass pass = new Pass(progress, null, 0);
      foreground = pass;
      boolean complete = scrub(pass, null);
      if (!complete && ends) {
        throw new StoreClosedException("the store was closed while it was scrubbed");
      }
      progress.accept(pass.progress());
      ScrubReport report = ended(pass, complete);
      if (complete) {
        cursor = cursor.completedAt(System.currentTimeMillis());
        if (!settings.every.isZero()) {
          write();
        }
      }
      return report;
    } finally {
      foreground = null;
      turn.unlock();
      asked.set(false);
    }
  }

  private ScrubReport ended(Pass pass, boolean complete) {
    ScrubReport report = pass.report(complete);
    last = report;
    if (complete) {
      news.publish(
          HealthEvent.Kind.SCRUB_ENDED,
          -1,
          0,
          0,
          report.allFaults() + " faults found, " + report.repaired() + " repaired",
          System.nanoTime());
    }
    return report;
  }

  /** Scrubs, in turn, and has a flight recording say so. */
  private boolean scrub(Pass pass, byte @Nullable [] from) {
    boolean complete = false;
    pass.record(ScrubNotice.Phase.RUNNING);
    try {
      complete = tree.scrub(from, pass.doneBefore, pass, pass.tally);
      if (complete) {
        besides.run();
      }
      return complete;
    } finally {
      pass.record(complete ? ScrubNotice.Phase.COMPLETE : ScrubNotice.Phase.CUT_OFF);
    }
  }

  /** How far it is, and what came of it. */
  StoreStats.Scrub figures() {
    Pass pass = foreground;
    pass = pass == null ? background : pass;
    long completed = cursor.completed();
    return new StoreStats.Scrub(
        pass == null ? null : pass.progress(),
        last,
        completed == 0 ? null : Instant.ofEpochMilli(completed));
  }

  // ---------------------------------------------------------------- in the background

  private void run() {
    try {
      while (!ends) {
        if (cursor.isDue(System.currentTimeMillis(), settings.every) && canBeScrubbed()) {
          pass();
        } else {
          LockSupport.parkNanos(LOOK_NANOS);
        }
        if (written == null && settings.clock.getAsLong() - writtenAt > SETTLED_NANOS) {
          inTurn(this::write);
        }
      }
    } catch (RuntimeException e) {
      LOG.log(Level.WARNING, "nothing is scrubbed any more until the store is opened again", e);
    } finally {
      inTurn(this::write);
    }
  }

  private boolean canBeScrubbed() {
    return volume.legs().readers() > 0 && !tree.isSuspended();
  }

  private void inTurn(Runnable body) {
    turn.lock();
    try {
      body.run();
    } finally {
      turn.unlock();
    }
  }

  private void pass() {
    turn.lock();
    try {
      ScrubCursor from = cursor;
      Pass pass =
          new Pass(
              _ -> {},
              new ScrubPace(settings.bytesPerSecond, settings.clock),
              from.next() == null ? 0 : from.leavesDone());
      background = pass;
      boolean complete = scrub(pass, from.next());
      if (complete) {
        cursor = cursor.completedAt(System.currentTimeMillis());
        write();
      }
      ScrubReport _ = ended(pass, complete);
    } catch (StoreClosedException e) {
      LOG.log(Level.DEBUG, "the store was closed while it was scrubbed");
    } catch (HoldfastException e) {
      // Whoever uses the store meets it, too, and is told; it goes on where it was.
      LOG.log(Level.DEBUG, "the store cannot be scrubbed now", e);
      pauses(LOOK_NANOS);
    } finally {
      background = null;
      turn.unlock();
    }
  }

  /** Waits with nobody kept from scrubbing; an unpark ends it early if it has to end. */
  private void pauses(long nanos) {
    long until = System.nanoTime() + nanos;
    turn.unlock();
    try {
      for (long left = nanos; left > 0 && !ends; left = until - System.nanoTime()) {
        LockSupport.parkNanos(left);
      }
    } finally {
      turn.lock();
    }
  }

  /** Writes down how far it is; in turn. */
  private void write() {
    ScrubCursor now = cursor;
    if (now.equals(written) || volume.isReadOnly() || isLeft) {
      return;
    }
    try {
      now.write(settings.file);
      written = now;
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "it cannot be written down how far the scrub is", e);
    }
    writtenAt = settings.clock.getAsLong();
  }

  /**
   * Ends what is under way, for a close.
   *
   * @return whether the thread in the background has ended
   */
  boolean end(long nanos) {
    ends = true;
    Thread running = thread;
    if (running == null) {
      return true;
    }
    LockSupport.unpark(running);
    long deadline = System.nanoTime() + nanos;
    while (running.isAlive()) {
      if (System.nanoTime() - deadline >= 0) {
        isLeft = true;
        return false;
      }
      LockSupport.parkNanos(100_000L);
    }
    return true;
  }

  // ---------------------------------------------------------------- a pass

  /** One pass, or the rest of one. */
  private final class Pass implements ScrubContact {
    final ScrubTally tally = tree.newTally();
    final long doneBefore;
    private final long began = System.nanoTime();
    private final Consumer<ScrubProgress> told;
    private final @Nullable ScrubPace pace;
    private long paid;
    private int steps;
    private long recordedAt;

    Pass(Consumer<ScrubProgress> told, @Nullable ScrubPace pace, long doneBefore) {
      this.told = told;
      this.pace = pace;
      this.doneBefore = doneBefore;
    }

    @Override
    public void wrong(int leg, long offset, long length) {
      response.respond(leg, FaultKind.CHECKSUM, offset, length);
    }

    @Override
    public void wrongMetadata(
        int leg, long offset, long length, boolean hasCopy, BooleanSupplier repair) {
      response.wrongMetadata(leg, offset, length, hasCopy, repair);
    }

    @Override
    public void lost(int leg, long offset, long length) {
      response.wrongEverywhere(leg, offset, length);
    }

    @Override
    public boolean poisoned(int leg, long offset, long length) {
      PmemDevice device = volume.allLegs().get(leg).device();
      volume.notified(device, FaultKind.POISON, offset, length, RangeOrigin.SCRUB);
      response.respond(leg, FaultKind.POISON, offset, length);
      for (LegRange range : volume.badRanges()) {
        if (range.leg() == leg && range.overlaps(offset, length)) {
          return false;
        }
      }
      for (BadRange range : device.badBlocks()) {
        if (range.overlaps(offset, length)) {
          return false;
        }
      }
      return true;
    }

    @Override
    public boolean goesOn(byte @Nullable [] next) {
      if (ends) {
        return false;
      }
      if (++steps % TELL_EVERY == 0) {
        told.accept(progress());
        if (System.nanoTime() - recordedAt >= RECORD_NANOS) {
          record(ScrubNotice.Phase.RUNNING);
        }
      }
      ScrubPace limit = pace;
      if (limit == null) {
        return !Thread.currentThread().isInterrupted();
      }
      if (next != null) {
        cursor = cursor.at(next, tally.leavesDone());
        if (settings.clock.getAsLong() - writtenAt >= settings.checkpoint.toNanos()) {
          write();
        }
      }
      long bytes = tally.bytes();
      long wait = limit.after(bytes - paid);
      paid = bytes;
      pauses(wait);
      return !ends;
    }

    /** Tells a flight recording how far it is. */
    void record(ScrubNotice.Phase phase) {
      recordedAt = System.nanoTime();
      if (ScrubNotice.isWanted()) {
        ScrubNotice.emit(volume.place(), pace == null, phase, progress());
      }
    }

    ScrubProgress progress() {
      long nanos = Math.max(1, System.nanoTime() - began);
      long done = tally.leavesDone();
      long leaves = tally.leaves();
      long here = done - doneBefore;
      Duration remaining =
          here <= 0 ? null : Duration.ofNanos((long) ((double) nanos / here * (leaves - done)));
      return new ScrubProgress(
          done,
          leaves,
          tally.bytes(),
          (long) (tally.bytes() / (nanos / NANOS)),
          tally.allFaults(),
          tally.repaired(),
          remaining);
    }

    ScrubReport report(boolean complete) {
      List<ScrubReport.Leg> legs = new ArrayList<>();
      for (Leg leg : volume.allLegs()) {
        legs.add(new ScrubReport.Leg(leg.index(), tally.bytes(leg.index())));
      }
      return new ScrubReport(
          legs,
          tally.records(),
          tally.faults(),
          tally.repaired(),
          tally.lostRanges(),
          tally.lostEntries(),
          Duration.ofNanos(System.nanoTime() - began),
          complete);
    }
  }
}
