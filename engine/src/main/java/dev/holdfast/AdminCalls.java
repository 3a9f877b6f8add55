package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.volume.Volume;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Has calls of who administrates a store end in bounded time though the medium under a leg hangs:
 * each works on a thread of its own, and is left behind once somebody has waited for a medium for
 * too long. It is carried on when the medium answers, or its leg is given up.
 *
 * <p><b>Threads:</b> any. An interrupt does not end a call; it is kept.
 */
final class AdminCalls {
  /** How long a call works in any case before it is left behind. */
  static final long LEAST_NANOS = 600_000_000L;

  /** How long a medium may be waited for while a call works. */
  static final long SILENT_NANOS = 400_000_000L;

  private static final long LOOK_NANOS = 20_000_000L;

  private final Volume volume;

  AdminCalls(Volume volume) {
    this.volume = volume;
  }

  /**
   * Makes a call.
   *
   * @param what the call, for people
   * @throws DeviceOfflineException if it waits for a medium that does not answer
   */
  void run(String what, Runnable body) {
    FutureTask<Boolean> task = new FutureTask<>(body, true);
    Thread _ = Thread.ofPlatform().daemon().name("holdfast-admin").start(task);
    long began = System.nanoTime();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          boolean _ = task.get(LOOK_NANOS, TimeUnit.NANOSECONDS);
          return;
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (TimeoutException e) {
          if (isHopeless(volume, began)) {
            throw new DeviceOfflineException(
                what
                    + ": the medium of a leg has not answered for "
                    + volume.silentNanos() / 1_000_000
                    + " ms: this goes on when it does, or when the leg is expelled; health()"
                    + " tells");
          }
        } catch (ExecutionException e) {
          throw unchecked(e.getCause());
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Whether what began then is not worth waiting for: a medium hangs. */
  static boolean isHopeless(Volume volume, long began) {
    return System.nanoTime() - began >= LEAST_NANOS && volume.silentNanos() >= SILENT_NANOS;
  }

  /** What a body threw, which is unchecked. */
  static RuntimeException unchecked(@Nullable Throwable thrown) {
    if (thrown instanceof Error error) {
      throw error;
    }
    return thrown instanceof RuntimeException runtime
        ? runtime
        : new IllegalStateException("a call failed", thrown);
  }
}
