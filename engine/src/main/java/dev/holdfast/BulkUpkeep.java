package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.tree.Tree;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Removes from the BULK volume, in the background, the values to which no record leads any more: as
 * they are left, and behind a crash, which left some that nobody remembers, all that are found.
 *
 * <p><b>Threads:</b> any; it runs one daemon thread, {@code STORE-bulk}.
 */
final class BulkUpkeep {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** So many are removed behind one commit. */
  private static final int GROUP = 1_000;

  /** More are not remembered while the volume is away: they are looked for once it is back. */
  private static final int MOST = 1 << 16;

  private static final long LOOK_NANOS = 1_000_000_000L;

  private final StoreBulk bulk;
  private final String where;
  private final ConcurrentLinkedQueue<byte[]> places = new ConcurrentLinkedQueue<>();
  private final AtomicInteger count = new AtomicInteger();
  private @Nullable Tree tree;
  private @Nullable Thread thread;
  private volatile boolean forgot;
  private volatile boolean ended;

  /** Whether all was removed that was to be, when it ended. */
  private volatile boolean clean;

  BulkUpkeep(StoreBulk bulk, String where) {
    this.bulk = bulk;
    this.where = where;
  }

  /**
   * Begins.
   *
   * @param idle whether nothing may be written
   */
  void begin(Tree of, boolean idle) {
    tree = of;
    forgot = !isNoted(of.sequence());
    if (idle) {
      return;
    }
    try {
      Files.deleteIfExists(bulk.noted());
      if (Files.exists(bulk.noted().toAbsolutePath().getParent())) {
        DurableFile.syncDirectory(bulk.noted());
      }
    } catch (IOException e) {
      throw new DeviceIoException(bulk.noted() + ": cannot be removed: " + e, e);
    }
    thread = Thread.ofPlatform().daemon().name(where + "-bulk").start(this::run);
  }

  private boolean isNoted(long sequence) {
    try {
      return Files.isRegularFile(bulk.noted())
          && Files.readString(bulk.noted(), StandardCharsets.US_ASCII)
              .equals(Long.toString(sequence));
    } catch (IOException e) {
      return false; // Then it is looked for once more.
    }
  }

  /** Notes that nothing is left; the store is closed. */
  void note() {
    Tree of = tree;
    if (of == null || !clean || forgot || !places.isEmpty()) {
      return;
    }
    try {
      DurableFile.write(
          bulk.noted(), Long.toString(of.sequence()).getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      LOG.log(Level.DEBUG, "the next open looks through the BULK volume", e);
    }
  }

  /** Has a value removed, once what left it is durable. */
  void remove(byte[] place) {
    if (count.incrementAndGet() > MOST) {
      count.decrementAndGet();
      forgot = true;
      return;
    }
    places.add(place);
    Thread running = thread;
    if (running != null) {
      LockSupport.unpark(running);
    }
  }

  private void run() {
    while (!ended) {
      boolean more = false;
      try {
        if (bulk.isOpen()) {
          more = removeSome();
          if (!more && forgot) {
            forgot = false;
            sweep();
          }
        }
      } catch (StoreClosedException e) {
        forgot = true;
        return;
      } catch (RuntimeException e) {
        forgot = true; // Away, or full: what was about to be removed is found again.
        LOG.log(Level.DEBUG, where + ": values are removed from the BULK volume later", e);
      }
      if (!more && !ended) {
        LockSupport.parkNanos(this, LOOK_NANOS);
      }
    }
  }

  private boolean removeSome() {
    List<byte[]> some = new ArrayList<>();
    for (byte[] place; some.size() < GROUP && (place = places.poll()) != null; ) {
      count.decrementAndGet();
      some.add(place);
    }
    if (some.isEmpty()) {
      return false;
    }
    boolean done = false;
    try {
      OpenStore values = bulk.values();
      requireTree().commit();
      for (byte[] place : some) {
        boolean _ = values.remove(place, values.persistence());
        bulk.removed(place);
      }
      done = true;
    } finally {
      forgot |= !done;
    }
    return true;
  }

  private Tree requireTree() {
    Tree of = tree;
    if (of == null) {
      throw new IllegalStateException("expected to have begun");
    }
    return of;
  }

  /** Looks at every value whether a record leads to it. */
  private void sweep() {
    OpenStore values = bulk.values();
    Tree of = requireTree();
    long removed = 0;
    boolean done = false;
    try (Cursor all = values.cursor(KeyRange.all())) {
      while (!ended) {
        try {
          if (!all.next()) {
            done = true;
            break;
          }
        } catch (DataLostException e) {
          continue; // Lost is lost; the walk goes on behind it.
        }
        byte[] place = all.key();
        if (place.length <= 1 + StoreBulk.NUMBER || bulk.isUnsettled(place)) {
          continue;
        }
        if (!of.leadsToBulk(StoreBulk.mapOf(place), StoreBulk.keyOf(place), place)) {
          removed += values.remove(place, values.persistence()) ? 1 : 0;
          bulk.removed(place);
        }
      }
    } finally {
      forgot |= !done;
    }
    if (removed > 0) {
      LOG.log(
          Level.INFO,
          where + ": removed " + removed + " values from the BULK volume that nothing led to");
    }
  }

  /** Removes what is left, as far as there is time, and ends. */
  void end(long nanos) {
    ended = true;
    Thread running = thread;
    if (running == null) {
      return;
    }
    LockSupport.unpark(running);
    if (nanos == 0 || !join(running, nanos) || bulk.admin() == null) {
      return;
    }
    long deadline = System.nanoTime() + nanos;
    try {
      while (removeSome()) {
        if (System.nanoTime() - deadline > 0) {
          return;
        }
      }
      clean = !forgot;
    } catch (HoldfastException e) {
      LOG.log(Level.DEBUG, where + ": the next open looks through the BULK volume", e);
    }
  }

  private static boolean join(Thread thread, long nanos) {
    boolean interrupted = Thread.interrupted();
    try {
      return thread.join(Duration.ofNanos(nanos));
    } catch (InterruptedException e) {
      interrupted = true;
      return false;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
