package dev.holdfast;

import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.Volume;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Ends a store: in order as long as its media answer, and else by force, which leaves the files as
 * the death of the process would.
 *
 * <p>By force, in this order: nothing is written to the witness any more, who waits for a medium is
 * told, and no leg is in use; the windows fault, so that no store that was under way arrives; the
 * directory is given back. What then is left runs out behind that.
 *
 * <p><b>Threads:</b> any, several at once.
 */
final class StoreClosing {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());
  private static final long LOOK_NANOS = 10_000_000L;

  /** How long devices may take to let go of their files. */
  private static final long DEVICES_NANOS = 300_000_000L;

  /** How long operations that were under way may take to leave the memory of the tree. */
  private static final long LEAVE_NANOS = 60_000_000_000L;

  private final StoreFiles files;
  private final Volume volume;
  private final Tree tree;
  private final StoreLog log;
  private final StoreBulk bulk;
  private final Runnable steps;
  private final BooleanSupplier helpers;
  private final AtomicBoolean forced = new AtomicBoolean();
  private final CountDownLatch ended = new CountDownLatch(1);

  /** The close in order, if one was begun. */
  private volatile @Nullable FutureTask<Boolean> begun;

  /**
   * @param steps closes in order, and waits for each thing in bounded time, but for media
   * @param helpers ends what works beside operations; whether all of it has ended
   */
  StoreClosing(
      StoreFiles files,
      Volume volume,
      Tree tree,
      StoreLog log,
      StoreBulk bulk,
      Runnable steps,
      BooleanSupplier helpers) {
    this.files = files;
    this.volume = volume;
    this.tree = tree;
    this.log = log;
    this.bulk = bulk;
    this.steps = steps;
    this.helpers = helpers;
  }

  /** Ends the store in order, once. By force when a medium hangs, or somebody else asks for it. */
  void inOrder() {
    FutureTask<Boolean> closing = new FutureTask<>(steps, true);
    begun = closing;
    Thread _ = Thread.ofPlatform().daemon().name("holdfast-close").start(closing);
    long began = System.nanoTime();
    boolean interrupted = false;
    try {
      while (!forced.get()) {
        try {
          boolean _ = closing.get(LOOK_NANOS, TimeUnit.NANOSECONDS);
          forced.set(true); // There is nothing left to force.
          return;
        } catch (InterruptedException e) {
          interrupted = true; // Half of a close helps nobody.
        } catch (TimeoutException e) {
          if (isHopeless(began)) {
            LOG.log(
                Level.WARNING,
                files.directory() + ": closed by force: the medium of a leg does not answer");
            force();
          }
        } catch (ExecutionException e) {
          if (forced.get()) {
            LOG.log(Level.DEBUG, "the close in order that was cut off", e);
            break;
          }
          force(); // Nobody can ask for a close once more.
          throw AdminCalls.unchecked(e.getCause());
        }
      }
      interrupted |= awaitForce();
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Whether what began then is not worth waiting for: a medium of the store hangs. */
  boolean isHopeless(long began) {
    return AdminCalls.isHopeless(volume, began) || log.isHopeless(began) || bulk.isHopeless(began);
  }

  /** Lets who ends the store by force come to its end; whether this was interrupted. */
  private boolean awaitForce() {
    boolean interrupted = false;
    long deadline = System.nanoTime() + 2 * DEVICES_NANOS;
    for (long left; (left = deadline - System.nanoTime()) > 0; ) {
      try {
        boolean _ = ended.await(left, TimeUnit.NANOSECONDS);
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    return interrupted;
  }

  /** Ends the store at once; harmless when it was ended. */
  void force() {
    if (!forced.compareAndSet(false, true)) {
      return;
    }
    volume.stop();
    tree.close();
    tree.endCommits();
    volume.abandon();
    log.abandon();
    closeDevices(Thread.ofPlatform().daemon().name("holdfast-close-bulk").start(bulk::forceClose));
    ended.countDown();
    Thread _ = Thread.ofPlatform().daemon().name("holdfast-close").start(this::runOut);
  }

  /** The directory is given back by whoever closes the last device. */
  private void closeDevices(Thread others) {
    List<PmemDevice> devices = new ArrayList<>(log.devices());
    for (Leg leg : volume.allLegs()) {
      devices.add(leg.device());
    }
    // Who makes the log anew is in the directory, too, until he ends.
    AtomicInteger left = new AtomicInteger(devices.size() + 1);
    List<Thread> closing = new ArrayList<>();
    for (PmemDevice device : devices) {
      closing.add(closeOne(device.name(), device::close, left));
    }
    closing.add(closeOne("LOG", log::closeMade, left));
    closing.add(others);
    long deadline = System.nanoTime() + DEVICES_NANOS;
    boolean interrupted = false;
    for (Thread each : closing) {
      for (long nanos; each.isAlive() && (nanos = deadline - System.nanoTime()) > 0; ) {
        try {
          boolean _ = each.join(Duration.ofNanos(nanos));
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (left.get() > 0) {
      LOG.log(
          Level.WARNING,
          files.directory()
              + ": a device does not let go of its file: the store can be opened again when it"
              + " does");
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private Thread closeOne(String name, Runnable close, AtomicInteger left) {
    return Thread.ofPlatform()
        .daemon()
        .name("holdfast-close")
        .start(() -> {
          try {
            close.run();
          } catch (RuntimeException | Error e) {
            // It may still be stored to: nobody else gets the directory.
            LOG.log(Level.ERROR, name + ": cannot be closed", e);
            return;
          }
          if (left.decrementAndGet() == 0) {
            volume.behindTheWitness(files::close);
          }
        });
  }

  private void runOut() {
    FutureTask<Boolean> closing = begun;
    try {
      if (closing != null) {
        boolean _ = closing.get(); // It works in the memory of the tree.
      }
    } catch (InterruptedException | ExecutionException e) {
      LOG.log(Level.DEBUG, "the close in order that was cut off", e);
    }
    if (helpers.getAsBoolean() && volume.grace().await(LEAVE_NANOS) && tree.endWork(LEAVE_NANOS)) {
      tree.release(LEAVE_NANOS);
    }
  }
}
