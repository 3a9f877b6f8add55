package dev.holdfast;

/**
 * How far a compaction is.
 *
 * @param leavesDone how many leaves were looked at; beside a load that splits some, it may come to
 *     more than there were
 * @param leaves how many leaves there were when it began
 * @param bytesGivenBack the bytes of each leg that were given back to where the legs lie: 0 before
 *     the end
 * @param complete whether it came to its end
 */
public record CompactionProgress(
    long leavesDone, long leaves, long bytesGivenBack, boolean complete) {}
