package dev.holdfast;

import dev.holdfast.error.ConflictException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Does a transaction again until it comes through. */
final class Retries {
  private static final int MOST = 100;
  private static final long FIRST_NANOS = 1_000;
  private static final long LONGEST_NANOS = 2_000_000;

  private Retries() {}

  static <R extends @Nullable Object> R transact(
      Store store, Function<? super Transaction, R> body) {
    long wait = FIRST_NANOS;
    for (int time = 1; ; time++) {
      try (Transaction transaction = store.transaction()) {
        R result = body.apply(transaction);
        transaction.commit();
        return result;
      } catch (ConflictException e) {
        if (time == MOST) {
          throw e;
        }
      }
      // At random, so that those who met do not meet again.
      LockSupport.parkNanos(ThreadLocalRandom.current().nextLong(wait));
      wait = Math.min(2 * wait, LONGEST_NANOS);
    }
  }
}
