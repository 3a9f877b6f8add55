package dev.holdfast;

/**
 * How far a checkpoint is.
 *
 * @param entriesDone how many entries were copied
 * @param entries how many there are, about: the store may have been written to since
 * @param bytesDone the bytes of their keys and values
 */
public record CheckpointProgress(long entriesDone, long entries, long bytesDone) {}
