package dev.holdfast.examples.plugpull;

import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What the user asked for.
 *
 * @param input the value of {@code --input}; null for the files of the JDK
 * @param fault what goes wrong half-way
 * @param pages how many pages are poisoned, where pages are
 * @param mirrored two legs, or one
 * @param notifyAfter how long after the fault the store is told; null for never
 * @param persistence how far an acknowledged write has come
 * @param seed of everything that is chosen at random
 * @param sizeLimit the bytes of the input to take at most
 * @param directory where to make the run's own directory; null to choose
 * @param minOperations the operations that each thread must do on both sides of the fault
 * @param patience how long to go on for their sake
 */
record Settings(
    @Nullable String input,
    FaultChoice fault,
    int pages,
    boolean mirrored,
    @Nullable Duration notifyAfter,
    PersistenceMode persistence,
    long seed,
    long sizeLimit,
    @Nullable Path directory,
    long minOperations,
    Duration patience) {
  Expectation expectation() {
    return Expectation.of(mirrored, fault);
  }
}
