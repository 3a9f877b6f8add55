package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.RemovalRefusedException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Breaks an emulated device on purpose, in the tests of the store and in those of its users.
 *
 * <p><b>Threads:</b> any; faults may overlap, as real ones do.
 */
public final class FaultInjector {
  private final EmulatedDevice device;
  private final Random garbage = new Random(1);
  private final AtomicInteger failingClears = new AtomicInteger();
  private final AtomicInteger failingQueries = new AtomicInteger();
  private volatile boolean supportsBadBlocks = true;
  private final AtomicInteger failingFlushes = new AtomicInteger();
  private final AtomicLong flushes = new AtomicLong();
  private final AtomicInteger failingHeartbeats = new AtomicInteger();
  private final AtomicLong heartbeats = new AtomicLong();
  private final AtomicReference<@Nullable String> failingSite = new AtomicReference<>();
  private volatile @Nullable Duration notifyDelay = Duration.ZERO;
  private volatile long flushLatencyNanos;
  private volatile boolean fileSystemDead;
  private volatile @Nullable CountDownLatch stuck;

  FaultInjector(EmulatedDevice device) {
    this.device = device;
  }

  /**
   * {@return how this machine makes single pages fault: {@code UFFDIO_POISON} or {@code fault
   * page}}
   */
  public static String pagePoisonMethod() {
    return PagePoison.SYSTEM.name();
  }

  /** {@return the size in bytes of what poison hits at least} */
  public static int pageSize() {
    return Posix.PAGE_SIZE;
  }

  /**
   * Makes the garbage under poison repeatable.
   *
   * @param seed of the garbage
   */
  public void seed(long seed) {
    synchronized (garbage) {
      garbage.setSeed(seed);
    }
  }

  /**
   * How long after the pages faulted the holder is told; zero is at once, on the injecting thread.
   *
   * @param delay how long; not negative
   */
  public void notifyAfter(Duration delay) {
    if (delay.isNegative()) {
      throw new IllegalArgumentException("delay: expected ≥ 0, was " + delay);
    }
    notifyDelay = delay;
  }

  /** Pages fault from now on, and the holder is never told. */
  public void notifyNever() {
    notifyDelay = null;
  }

  /**
   * Every flush takes this much longer.
   *
   * @param latency how much longer; not negative
   */
  public void flushLatency(Duration latency) {
    flushLatencyNanos = latency.toNanos();
  }

  /** {@return how often the medium was asked to write something back, whatever came of it} */
  public long flushes() {
    return flushes.get();
  }

  /**
   * The next {@code count} flushes fail as on a medium that refuses.
   *
   * @param count how many; 0 ends it
   */
  public void failFlushes(int count) {
    failingFlushes.set(count);
  }

  /**
   * The next flush of a name fails as on a medium that refuses.
   *
   * @param site see {@link PmemDevice#flush(String, long, long)}
   */
  public void failFlush(String site) {
    failingSite.set(site);
  }

  /**
   * The file system under the device is dead from now on, as after a shutdown: mapped pages read
   * and store on without a fault, and whatever asks the medium to write is refused.
   */
  public void shutDownFileSystem() {
    fileSystemDead = true;
  }

  /**
   * Ends what {@link #shutDownFileSystem} began, as if it had been mounted again. What was stored
   * meanwhile is still in the file here; who wants it gone puts an older copy in its place first.
   */
  public void mountFileSystem() {
    fileSystemDead = false;
  }

  /** {@return how often the device was asked for a heartbeat, whatever came of it} */
  public long heartbeats() {
    return heartbeats.get();
  }

  /**
   * The next {@code count} heartbeats are refused, and nothing else is.
   *
   * @param count how many; 0 ends it
   */
  public void failHeartbeats(int count) {
    failingHeartbeats.set(count);
  }

  /** Heartbeats do not come back until {@link #resumeHeartbeats}, whatever interrupts them. */
  public void hangHeartbeats() {
    stuck = new CountDownLatch(1);
  }

  /** Ends what {@link #hangHeartbeats} began. */
  public void resumeHeartbeats() {
    CountDownLatch hanging = stuck;
    stuck = null;
    if (hanging != null) {
      hanging.countDown();
    }
  }

  /**
   * The next {@code count} attempts to clear poison fail.
   *
   * @param count how many; 0 ends it
   */
  public void failClears(int count) {
    failingClears.set(count);
  }

  /**
   * Has the device answer as one that keeps no list of bad blocks, or as what it is. Poison is
   * listed all the same: only {@link PmemDevice#queryBadBlocks} answers so.
   *
   * @param isSupported whether it keeps one
   */
  public void badBlockListIsSupported(boolean isSupported) {
    supportsBadBlocks = isSupported;
  }

  /**
   * The next {@code count} times that the device is asked for its bad blocks it cannot tell.
   *
   * @param count how many; 0 ends it
   */
  public void failBadBlockQueries(int count) {
    failingQueries.set(count);
  }

  /**
   * Pulls the device out without warning: state first, then every page of every window faults, then
   * its file is gone, then the holder is told.
   *
   * @throws IllegalStateException if the device was removed before
   */
  public void remove() {
    Fault removed = Fault.ofDevice(FaultKind.REMOVED, device.capacity());
    try {
      device.kill();
    } catch (DeviceIoException e) {
      // Only the name of the file is left; the device is as dead as it can be.
      tell(removed);
      throw e;
    }
    tell(removed);
  }

  /**
   * Removes the device in order: no new windows, the holder is told and given time while the device
   * can still be read and written, then it is pulled out. A holder that needs it may refuse: then
   * it is LIVE again, with the windows that it had. One that does not answer in time is not waited
   * for. An interrupt does not shorten the time; it is kept.
   *
   * @param grace how long the holder may take
   * @throws IllegalStateException if the device is not LIVE
   * @throws RemovalRefusedException if the holder refuses; says why, and what to do
   */
  public void removeOrderly(Duration grace) {
    device.beginOrderlyRemoval();
    RemovalRefusedException refused = notifyDelay == null ? null : askHolder(grace);
    if (refused != null && device.endOrderlyRemoval()) {
      throw new RemovalRefusedException(String.valueOf(refused.getMessage()), refused);
    }
    try {
      remove();
    } catch (IllegalStateException e) {
      // A surprise in the meantime: whoever caused it has told the holder.
      if (device.state() != DeviceState.DEAD) {
        throw e;
      }
    }
  }

  /** Why the holder needs the device; null if he lets go of it, or does not answer in time. */
  private @Nullable RemovalRefusedException askHolder(Duration grace) {
    AtomicReference<@Nullable RemovalRefusedException> answer = new AtomicReference<>();
    Fault fault = Fault.ofDevice(FaultKind.PRE_REMOVE, device.capacity());
    Thread asked = onThreadOfItsOwn(() -> answer.set(device.notifications.ask(fault)));
    long deadline = System.nanoTime() + grace.toNanos();
    boolean interrupted = false;
    while (true) {
      try {
        // The holder has its time; a device that is being unplugged does not wait for ever.
        boolean _ = asked.join(Duration.ofNanos(Math.max(0, deadline - System.nanoTime())));
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return answer.get();
  }

  /**
   * Puts the removed device back, with the bytes it had, and tells the holder.
   *
   * @throws IllegalStateException if the device is not removed
   */
  public void reinsert() {
    device.revive();
    tell(Fault.ofDevice(FaultKind.RETURNED, device.capacity()));
  }

  /**
   * Puts back a removed device that nobody has open.
   *
   * @param file where it was
   */
  public static void reinsert(Path file) {
    try {
      Files.move(EmulatedDevice.removedFile(file), file);
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be renamed back: " + e, e);
    }
  }

  /**
   * Poisons the pages that hold {@code [offset, offset + length)}: their bytes are gone, every
   * access faults, and the bad block list knows it for good.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @return the pages that were hit
   */
  public BadRange poison(long offset, long length) {
    BadRange pages;
    synchronized (garbage) {
      pages = device.poison(offset, length, garbage);
    }
    tell(new Fault(FaultKind.POISON, pages.offset(), pages.length()));
    return pages;
  }

  /**
   * Flips one bit, silently.
   *
   * @param offset the first byte
   * @param bit which one of the byte, 0 to 7
   */
  public void flipBit(long offset, int bit) {
    byte[] one = device.readSilently(offset, 1);
    one[0] ^= (byte) (1 << bit);
    device.overwriteSilently(offset, one);
  }

  /**
   * Writes bytes that nobody asked for, silently: a misdirected write.
   *
   * @param offset the first byte
   * @param bytes what is written
   */
  public void misdirectedWrite(long offset, byte[] bytes) {
    device.overwriteSilently(offset, bytes);
  }

  /**
   * Takes down what a range holds now; {@link StaleRange#restore} brings it back later, as if the
   * writes in between had been lost.
   *
   * @param offset the first byte
   * @param length the number of bytes
   * @return what it held
   */
  public StaleRange remember(long offset, int length) {
    return new StaleRange(device, offset, device.readSilently(offset, length));
  }

  /** What a range held once. */
  public static final class StaleRange {
    private final EmulatedDevice device;
    private final long offset;
    private final byte[] bytes;

    private StaleRange(EmulatedDevice device, long offset, byte[] bytes) {
      this.device = device;
      this.offset = offset;
      this.bytes = bytes;
    }

    /** Loses every write to the range since it was remembered, silently. */
    public void restore() {
      device.overwriteSilently(offset, bytes);
    }
  }

  @Nullable BadBlockAnswer insteadOfBadBlocks(PmemDevice device) {
    if (!supportsBadBlocks) {
      return new BadBlockAnswer.Unsupported(device.name() + ": no list of bad blocks (injected)");
    }
    return failingQueries.getAndUpdate(n -> n > 0 ? n - 1 : 0) > 0
        ? new BadBlockAnswer.Failed(
            device.name() + ": the list of bad blocks cannot be read (injected)")
        : null;
  }

  void beforeClear(PmemDevice device) {
    if (failingClears.getAndUpdate(n -> n > 0 ? n - 1 : 0) > 0) {
      throw new DeviceIoException(device.name() + ": clearing poison failed (injected)");
    }
  }

  /** Before something goes to the file, or comes from it, that is not mapped. */
  void beforeCall(PmemDevice device, String call) {
    if (fileSystemDead) {
      throw new DeviceIoException(device.name() + ": " + call + " failed (injected)");
    }
  }

  void beforeHeartbeat(PmemDevice device) {
    heartbeats.incrementAndGet();
    CountDownLatch hanging = stuck;
    boolean interrupted = false;
    while (hanging != null) {
      try {
        hanging.await();
        hanging = null;
      } catch (InterruptedException e) {
        interrupted = true; // As a system call that waits for a medium.
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (fileSystemDead || failingHeartbeats.getAndUpdate(n -> n > 0 ? n - 1 : 0) > 0) {
      throw new DeviceIoException(device.name() + ": heartbeat failed (injected)");
    }
  }

  void beforeFlush(PmemDevice device, String site, boolean reachesMedium) {
    flushes.incrementAndGet();
    long latency = flushLatencyNanos;
    long due = System.nanoTime() + latency;
    // Parking may end early for no reason; an interrupt is one.
    for (long left = latency;
        left > 0 && !Thread.currentThread().isInterrupted();
        left = due - System.nanoTime()) {
      LockSupport.parkNanos(left);
    }
    if (failingFlushes.getAndUpdate(n -> n > 0 ? n - 1 : 0) > 0
        || failsBySite(site)
        || (fileSystemDead && reachesMedium)) {
      throw new DeviceIoException(device.name() + ": msync failed (injected)");
    }
    if (device.state() == DeviceState.DEAD) {
      throw new DeviceOfflineException(device.name() + ": cannot be flushed: the device is DEAD");
    }
  }

  private boolean failsBySite(String site) {
    String failing = failingSite.get();
    return site.equals(failing) && failingSite.compareAndSet(failing, null);
  }

  private void tell(Fault fault) {
    Duration delay = notifyDelay;
    if (delay == null) {
      return;
    }
    if (delay.isZero()) {
      device.notifications.tell(fault);
    } else {
      long due = System.nanoTime() + delay.toNanos();
      Thread _ =
          onThreadOfItsOwn(() -> {
            for (long left; (left = due - System.nanoTime()) > 0; ) {
              LockSupport.parkNanos(left);
            }
            device.notifications.tell(fault);
          });
    }
  }

  /** Not from a pool: a holder that hangs must not keep the news of other devices. */
  private static Thread onThreadOfItsOwn(Runnable task) {
    return Thread.ofPlatform().daemon().name("holdfast-fault-notifier").start(task);
  }
}
