package dev.holdfast;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.volume.DeviceFault;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.LegSetChanged;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeNews;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.function.Predicate;

/**
 * Reads the LOG volume of a store and mends what is bad, before a batch needs the room. While no
 * batch is in it, nothing there counts but the superblocks: so a page that no leg has is as good as
 * any other once it can be written again.
 *
 * <p><b>Threads:</b> any, several at once.
 */
final class LogScrub {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());
  private static final int CHUNK = 256 << 10;

  /** No batch begins meanwhile; what is not done in it is tried again. */
  private static final long GRACE_NANOS = 300_000_000L;

  private final Volume log;
  private final Predicate<Runnable> whileNoBatch;
  private final VolumeNews news;

  /**
   * @param whileNoBatch runs something while no batch is in the log; false if one is
   */
  LogScrub(Volume log, Predicate<Runnable> whileNoBatch, VolumeNews news) {
    this.log = log;
    this.whileNoBatch = whileNoBatch;
    this.news = news;
  }

  /** Reads all of it on every leg, and mends what is bad; what cannot be mended now stays so. */
  void scrub() {
    try {
      superblocks();
      byte[] chunk = new byte[CHUNK];
      for (long at = 0; at < log.capacity() && !log.isStopping(); at += CHUNK) {
        read(at, chunk);
      }
      mend();
    } catch (HoldfastException e) {
      LOG.log(Level.DEBUG, "the LOG volume cannot be scrubbed now", e);
    }
  }

  private void superblocks() {
    List<LegRange> wrong = log.wrongSuperblocks((_, _) -> {});
    if (wrong == null) {
      return;
    }
    for (LegRange range : wrong) {
      if (log.repairSuperblock(range.leg())) {
        tell(range, "a superblock was written anew");
      }
    }
  }

  /** Reads a part on every leg: an access tells what the list of a device does not. */
  private void read(long at, byte[] chunk) {
    int length = (int) Math.min(CHUNK, log.capacity() - at);
    int entered = log.grace().enter();
    DeviceFault fault = null;
    try {
      LegSet set = log.legs();
      for (int reader = 0; reader < set.readers(); reader++) {
        boolean _ = log.loadChecked(set, reader, at, chunk, 0, length);
      }
    } catch (DeviceFault e) {
      fault = e;
    } catch (LegSetChanged e) {
      LOG.log(Level.DEBUG, "the legs of the log changed while it was scrubbed");
    } finally {
      log.grace().exit(entered);
    }
    if (fault != null) {
      boolean _ = log.recover(fault);
    }
  }

  /** Makes bad pages good again, if no batch is in the log. */
  void mend() {
    if (log.badRanges().isEmpty() || log.isReadOnly()) {
      return;
    }
    boolean _ =
        whileNoBatch.test(() -> {
          for (LegRange range : log.badRanges()) {
            for (LegRange part : log.byCopy(range)) {
              mend(part);
            }
          }
        });
  }

  private void mend(LegRange part) {
    if (log.repair(part, false, GRACE_NANOS)) {
      tell(part, "rewritten from another leg");
    } else if (log.repair(part, true, GRACE_NANOS)) {
      tell(part, "cleared; it held nothing that counts");
    }
  }

  private void tell(LegRange range, String how) {
    news.publish(
        HealthEvent.Kind.RANGE_REPAIRED,
        range.leg(),
        range.offset(),
        range.length(),
        how,
        System.nanoTime());
  }
}
