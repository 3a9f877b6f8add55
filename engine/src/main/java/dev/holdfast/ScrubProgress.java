package dev.holdfast;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How far a scrub is.
 *
 * @param leavesDone how many leaves were looked at, in the order of their keys; of one that was
 *     resumed, those before that, too
 * @param leaves how many leaves there were when it began; not fewer than are done
 * @param bytesRead the bytes that were read of all legs
 * @param bytesPerSecond how many that are in a second, since it began or was resumed
 * @param faults how many faults were found
 * @param repaired how many of them are repaired
 * @param remaining how long it will take at this rate; null where nothing is known yet
 */
public record ScrubProgress(
    long leavesDone,
    long leaves,
    long bytesRead,
    long bytesPerSecond,
    long faults,
    long repaired,
    @Nullable Duration remaining) {}
