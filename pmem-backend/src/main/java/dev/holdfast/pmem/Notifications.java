package dev.holdfast.pmem;

import dev.holdfast.error.RemovalRefusedException;
import java.lang.System.Logger.Level;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Who holds a device, and what he is told. Notifications are counted, so that a holder can leave.
 *
 * <p><b>Threads:</b> any; one that is being notified does not wait for itself.
 */
final class Notifications {
  private static final System.Logger LOG = System.getLogger(PmemDevice.class.getName());
  private static final long RELEASE_WAIT_NANOS = 500_000_000L;

  private final PmemDevice device;
  private final AtomicReference<@Nullable DeviceHolder> holder = new AtomicReference<>();
  private final ThreadLocal<Integer> depth = ThreadLocal.withInitial(() -> 0);
  private final AtomicInteger running = new AtomicInteger();

  /** What happened and was not told yet. */
  private final Queue<Fault> news = new ConcurrentLinkedQueue<>();

  Notifications(PmemDevice device) {
    this.device = device;
  }

  void hold(DeviceHolder by) {
    if (!holder.compareAndSet(null, by)) {
      throw new IllegalStateException(device.name() + ": expected no holder, has one");
    }
  }

  void release(DeviceHolder by) {
    if (!holder.compareAndSet(by, null)) {
      return;
    }
    long deadline = System.nanoTime() + RELEASE_WAIT_NANOS;
    while (running.get() > depth.get() && System.nanoTime() - deadline < 0) {
      LockSupport.parkNanos(50_000);
    }
  }

  /** Tells the holder, on this thread; for who holds no lock of the device. */
  void tell(Fault fault) {
    var _ = ask(fault);
  }

  /** Does what {@link #tell} does, and returns why the holder refuses, if he may and does. */
  @Nullable RemovalRefusedException ask(Fault fault) {
    depth.set(depth.get() + 1);
    running.incrementAndGet();
    try {
      DeviceHolder told = holder.get();
      if (told != null) {
        told.notifyFailure(device, fault);
      }
    } catch (RemovalRefusedException e) {
      if (fault.kind() == FaultKind.PRE_REMOVE) {
        return e;
      }
      LOG.log(Level.WARNING, device.name() + ": nobody asked whether it may: " + fault, e);
    } catch (RuntimeException | Error e) {
      // Errors too: a holder that touched the dead device gets its InternalError, not who tells.
      LOG.log(Level.WARNING, device.name() + ": the holder failed on " + fault, e);
    } finally {
      running.decrementAndGet();
      int left = depth.get() - 1;
      if (left == 0) {
        depth.remove();
      } else {
        depth.set(left);
      }
    }
    return null;
  }

  /** Has something told later. */
  void add(Fault fault) {
    news.add(fault);
  }

  /** Tells the holder what he was not told yet, on this thread, as {@link #tell} does. */
  void tellAll() {
    for (Fault fault = news.poll(); fault != null; fault = news.poll()) {
      tell(fault);
    }
  }
}
