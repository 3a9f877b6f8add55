package dev.holdfast.volume;

import dev.holdfast.error.DeviceOfflineException;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.FutureTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Calls that wait for the medium of a leg, as long as it lets them: an msync, a file that grows.
 * Nothing ends such a call, so each is made by a thread of its own, and who needs it waits with it:
 * for the stated time where another leg holds everything, and then the leg is silent; as long as it
 * takes where none does, or until the store is closed. What is left behind ends when its medium
 * answers.
 *
 * <p><b>Threads:</b> any. An interrupt is passed on to the call, and kept; it does not end the
 * wait.
 */
final class MediumCalls {
  /** How long a medium may take before its leg is given up. Source: half of what ZFS calls slow. */
  static final Duration LIMIT = Duration.ofSeconds(15);

  /** What part of that a medium may take before it is slow. */
  static final int SLOW_PART = 3;

  /** So often it is looked whether there is still something to wait for. */
  private static final long LOOK_NANOS = 50_000_000L;

  private static final long IDLE_SECONDS = 2;

  private final ExecutorService threads =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          IDLE_SECONDS,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          Thread.ofPlatform().daemon().name("holdfast-medium").factory());

  /** What somebody waits for. */
  private final Queue<Call> waited = new ConcurrentLinkedQueue<>();

  private volatile long limitNanos = LIMIT.toNanos();
  private volatile boolean ended;

  /** The medium of a leg has not answered for the stated time, and nobody has to wait for it. */
  static final class Silent extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Silent(String message) {
      super(message, null, false, false);
    }

    String why() {
      return String.valueOf(getMessage());
    }
  }

  /** One call. */
  final class Call extends FutureTask<@Nullable Void> {
    private final String what;
    private final long began = System.nanoTime();
    private final Runnable slow;
    private volatile @Nullable Thread thread;

    /** Whether it was called slow; by who waits for it. */
    private boolean calledSlow;

    Call(String what, Runnable slow, Runnable body) {
      super(body, null);
      this.what = what;
      this.slow = slow;
    }

    private void tellIfSlow() {
      if (!calledSlow && System.nanoTime() - began >= limitNanos / SLOW_PART) {
        calledSlow = true;
        slow.run();
      }
    }

    @Override
    protected void done() {
      waited.remove(this);
    }

    private void fail(RuntimeException why) {
      setException(why);
    }

    @Override
    public void run() {
      thread = Thread.currentThread();
      super.run();
    }

    private void interrupt() {
      Thread by = thread;
      if (by != null && !isDone()) {
        by.interrupt();
      }
    }
  }

  /** Says how long a medium may be silent. */
  void limit(Duration time) {
    limitNanos = time.toNanos();
  }

  /** Makes a call, and waits for it: {@link #begin} and {@link #await}. */
  void make(String what, Runnable slow, BooleanSupplier isCovered, Runnable body) {
    await(begin(what, slow, body), isCovered);
  }

  /**
   * Begins a call; who does has to await it.
   *
   * @param what what is waited for, for people
   * @param slow is run by who waits, once, where it takes a third of the time in which its medium
   *     counts as silent
   */
  Call begin(String what, Runnable slow, Runnable body) {
    Call call = new Call(what, slow, body);
    waited.add(call);
    try {
      threads.execute(call);
    } catch (RejectedExecutionException e) {
      call.fail(closed(what));
    }
    return call;
  }

  /**
   * Waits for a call. What it throws is thrown.
   *
   * @param isCovered whether another leg holds everything now
   * @throws Silent if it does not come back in time though the leg is covered
   * @throws DeviceOfflineException if the store was closed meanwhile
   */
  void await(Call call, BooleanSupplier isCovered) {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          var _ = call.get(Math.min(LOOK_NANOS, limitNanos), TimeUnit.NANOSECONDS);
          call.tellIfSlow();
          return;
        } catch (TimeoutException e) {
          call.tellIfSlow();
          requireUseful(call, isCovered);
        } catch (InterruptedException e) {
          interrupted = true;
        }
        if (interrupted) {
          call.interrupt();
        }
      }
    } catch (ExecutionException e) {
      throw sneaky(e.getCause());
    } finally {
      waited.remove(call); // It may be left behind.
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void requireUseful(Call call, BooleanSupplier isCovered) {
    if (ended) {
      throw closed(call.what);
    }
    if (System.nanoTime() - call.began >= limitNanos && isCovered.getAsBoolean()) {
      throw new Silent(
          "its medium has not answered for " + TimeUnit.NANOSECONDS.toMillis(limitNanos) + " ms");
    }
  }

  private static DeviceOfflineException closed(String what) {
    return new DeviceOfflineException(
        what + ": the store was closed while its medium was waited for");
  }

  /** What a body throws is unchecked. */
  private static RuntimeException sneaky(@Nullable Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    return thrown instanceof RuntimeException unchecked
        ? unchecked
        : new IllegalStateException("a call to a medium failed", thrown);
  }

  /** For how many nanoseconds somebody has waited for a medium; 0 if nobody does. */
  long silentNanos() {
    long longest = 0;
    long now = System.nanoTime();
    for (Call call : waited) {
      longest = Math.max(longest, now - call.began);
    }
    return longest;
  }

  /** Has nobody wait any more; harmless when it has ended. */
  void end() {
    ended = true;
    threads.shutdown();
  }
}
