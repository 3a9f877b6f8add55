package dev.holdfast.volume;

/**
 * How far a leg has been copied to.
 *
 * @param leg its index
 * @param whole whether everything is copied, not only what the leg missed
 * @param bytesDone bytes that were copied and read back
 * @param bytesTotal bytes that are to be copied in all, as was known when it began
 * @param nanos how long it has taken, or took
 * @param running whether it goes on
 */
public record CopyState(
    int leg, boolean whole, long bytesDone, long bytesTotal, long nanos, boolean running) {}
