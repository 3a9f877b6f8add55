package dev.holdfast;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.tree.Tree.BulkUse;
import dev.holdfast.tree.TreeScan;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Opens the BULK volume, and removes values from it to which no record leads any more: as they are
 * left, and behind a crash, which left some that nobody remembers, all that are found. Each is
 * looked at once more before it goes, behind a commit of what left it; a removal itself need not be
 * durable, as a value that is back after a loss of power is found then.
 *
 * <p><b>Threads:</b> any; it runs one daemon thread, {@code STORE-bulk}.
 */
final class BulkUpkeep {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** So many are removed behind one commit. */
  private static final int GROUP = 256;

  /** More are not remembered while the volume is away: they are looked for once it is back. */
  private static final int MOST = 1 << 16;

  private static final int MOST_DOUBTFUL = 1 << 10;

  private static final long LOOK_NANOS = 1_000_000_000L;

  /** How long an open waits for it. */
  private static final long OPEN_NANOS = 10_000_000_000L;

  /** After a look that could not tell of all: a batch was in doubt, or something is lost. */
  private static final long LATER_NANOS = 60_000_000_000L;

  /** What walks hold is a copy. */
  static final MappingHandle WALK =
      new MappingHandle() {
        @Override
        public String describe() {
          return "upkeep of the BULK volume";
        }

        @Override
        public void invalidated(long offset, long length) {
          // The next step reads from the legs that are left.
        }
      };

  private final StoreBulk bulk;
  private final String where;
  private final ConcurrentLinkedQueue<byte[]> places = new ConcurrentLinkedQueue<>();
  private final AtomicInteger count = new AtomicInteger();

  private volatile long doubtfulAt = System.nanoTime();

  /** Of which nobody could tell whether they are needed. */
  private final ConcurrentLinkedQueue<byte[]> doubtful = new ConcurrentLinkedQueue<>();

  private final AtomicLong removals = new AtomicLong();

  /** Who removes. */
  private final ReentrantLock removing = new ReentrantLock();

  private long openedAt;
  private @Nullable Thread thread;
  private volatile boolean forgot;
  private volatile long lookAt = System.nanoTime();
  private volatile boolean ended;

  /** Whether all was removed that was to be, when it ended. */
  private volatile boolean clean;

  BulkUpkeep(StoreBulk bulk, String where) {
    this.bulk = bulk;
    this.where = where;
  }

  /** Notes at which sequence the entries are opened. */
  void openedAt(long sequence) {
    openedAt = sequence;
  }

  /**
   * Begins, and opens the volume, if that takes no longer than an open should.
   *
   * @throws RuntimeException what the first attempt throws
   */
  void begin() {
    CompletableFuture<Boolean> first = new CompletableFuture<>();
    thread = Thread.ofPlatform().daemon().name(where + "-bulk").start(() -> run(first));
    long deadline = System.nanoTime() + OPEN_NANOS;
    boolean interrupted = false;
    try {
      for (long left; (left = deadline - System.nanoTime()) > 0; ) {
        try {
          boolean _ = first.get(left, TimeUnit.NANOSECONDS);
          return;
        } catch (InterruptedException e) {
          interrupted = true; // Half of an open helps nobody.
        } catch (TimeoutException e) {
          break;
        } catch (ExecutionException e) {
          throw AdminCalls.unchecked(e.getCause());
        }
      }
      if (first.complete(false)) {
        bulk.isSilent();
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void run(CompletableFuture<Boolean> first) {
    try {
      boolean opened = bulk.attempt();
      takeNote();
      first.complete(opened);
    } catch (RuntimeException | Error e) {
      if (first.completeExceptionally(e)) {
        return;
      }
      bulk.isAway(e); // Nobody waits for it any more.
    }
    while (!ended) {
      boolean more = false;
      long restUntil = System.nanoTime();
      try {
        if (doubtfulAt - System.nanoTime() <= 0) {
          lookAtDoubtful();
        }
        if (!bulk.attempt()) {
          restUntil += LOOK_NANOS;
        } else if (!bulk.keepsAll()) {
          more = removeSome(GROUP);
          if (!more && forgot && lookAt - System.nanoTime() <= 0) {
            forgot = false;
            sweep();
          }
        }
      } catch (StoreClosedException e) {
        forgot = true;
        return;
      } catch (RuntimeException | OutOfMemoryError e) {
        forgot = true; // Away, or full: what was about to be removed is found again.
        restUntil += LOOK_NANOS;
        LOG.log(Level.DEBUG, where + ": values are removed from the BULK volume later", e);
      }
      if (!more && !ended) {
        LockSupport.parkNanos(this, LOOK_NANOS);
      }
      for (long left; !ended && (left = restUntil - System.nanoTime()) > 0; ) {
        LockSupport.parkNanos(this, left); // Whatever comes meanwhile.
      }
    }
  }

  /** Finds out whether a close noted that nothing is left; from here on that is not so. */
  private void takeNote() {
    Path note = bulk.noted();
    boolean noted = false;
    try {
      noted =
          Files.isRegularFile(note)
              && Files.readString(note, StandardCharsets.US_ASCII)
                  .equals(Long.toString(openedAt - 1));
      if (!bulk.keepsAll() && Files.deleteIfExists(note)) {
        DurableFile.syncDirectory(note);
      }
    } catch (IOException e) {
      noted = false;
      LOG.log(Level.WARNING, note + ": cannot be read and removed: " + e);
    }
    forgot |= !noted;
  }

  /** Notes that nothing is left; the store is closed. */
  void note() {
    if (!clean
        || forgot
        || !places.isEmpty()
        || !doubtful.isEmpty()
        || bulk.hasUnsettled()
        || bulk.tree().mayLeavePlaces()) {
      return;
    }
    try {
      DurableFile.write(
          bulk.noted(), Long.toString(bulk.tree().sequence()).getBytes(StandardCharsets.US_ASCII));
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

  /** Has all values looked at. */
  void lookForOthers() {
    forgot = true;
  }

  /** How many were removed, ever. */
  long removals() {
    return removals.get();
  }

  /**
   * Removes what was left, for who finds no room.
   *
   * @param since how many were removed when he began
   * @return whether something was removed since then, by whomever
   */
  boolean makeRoom(long since) {
    try {
      lookAtDoubtful();
      boolean more = !bulk.keepsAll();
      while (more) {
        more = removeSome(GROUP);
      }
    } catch (HoldfastException e) {
      LOG.log(Level.DEBUG, "no room is made in the BULK volume", e);
    }
    return removals.get() != since;
  }

  private boolean removeSome(int most) {
    removing.lock();
    try {
      List<byte[]> some = new ArrayList<>();
      for (byte[] place; some.size() < most && (place = places.poll()) != null; ) {
        count.decrementAndGet();
        some.add(place);
      }
      if (some.isEmpty()) {
        return false;
      }
      boolean done = false;
      try {
        long _ = removeLeft(some);
        done = true;
      } finally {
        if (!done) {
          forgot = true;
        }
      }
      return true;
    } finally {
      removing.unlock();
    }
  }

  /** Removes those of several places to which nothing leads; how many were there. */
  private long removeLeft(List<byte[]> some) {
    OpenStore values = bulk.values();
    values.requireWritable(); // Before the entries are asked for a commit.
    List<BulkUse> uses = bulk.tree().bulkUses(some);
    long removed = 0;
    for (int i = 0; i < uses.size(); i++) {
      byte[] place = some.get(i);
      if (uses.get(i) == BulkUse.UNKNOWN) {
        later(place);
      } else if (uses.get(i) == BulkUse.LEFT) {
        removed += values.remove(place, PersistenceMode.PROCESS) ? 1 : 0;
        removals.incrementAndGet();
        bulk.removed(place);
      }
    }
    return removed;
  }

  private void lookAtDoubtful() {
    doubtfulAt = System.nanoTime() + LOOK_NANOS;
    for (byte[] place; (place = doubtful.poll()) != null; ) {
      count.incrementAndGet();
      places.add(place);
    }
  }

  /** A batch with its key is under way, say. */
  private void later(byte[] place) {
    if (doubtful.size() < MOST_DOUBTFUL) {
      doubtful.add(place);
    } else if (!forgot) {
      lookAt = System.nanoTime() + LATER_NANOS;
      forgot = true;
    }
  }

  /** Looks at every value whether a record leads to it. */
  private void sweep() {
    TreeScan all = bulk.values().home().tree().scan(OpenStore.OWN);
    all.seek(null, true, false);
    List<byte[]> group = new ArrayList<>();
    long removed = 0;
    boolean done = false;
    try {
      boolean more = true;
      while (more && !ended) {
        try {
          more = all.next(WALK);
        } catch (TreeScan.LostOnTheWay e) {
          continue; // Lost is lost; the walk goes on behind it.
        }
        byte[] place = more ? all.key() : null;
        // Asked before the record is: who has led there by then has settled it behind that.
        if (place != null && StoreBulk.isPlace(place) && !bulk.isUnsettled(place)) {
          group.add(place);
        }
        if (group.size() == GROUP || !more) {
          removed += removeLeft(group);
          group.clear();
        }
      }
      done = !more;
    } finally {
      if (!done) {
        forgot = true;
      }
    }
    if (removed > 0) {
      LOG.log(
          Level.INFO,
          where + ": removed " + removed + " values from the BULK volume that nothing led to");
    }
  }

  /** Removes what is left, as far as there is time, and ends. */
  void end(long nanos) {
    long deadline = System.nanoTime() + nanos;
    Thread running = thread;
    if (running != null && nanos > 0 && bulk.admin() != null && !bulk.keepsAll()) {
      // By its own thread: who closes the store does not wait for a medium that hangs.
      while (!places.isEmpty() && running.isAlive() && deadline - System.nanoTime() > 0) {
        LockSupport.unpark(running);
        LockSupport.parkNanos(100_000L);
      }
    }
    ended = true;
    if (running == null) {
      return;
    }
    LockSupport.unpark(running);
    clean = nanos > 0 && join(running, Math.max(1, deadline - System.nanoTime()));
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
