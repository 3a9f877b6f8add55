package dev.holdfast.tree;

import java.util.List;

/**
 * What a batch was made from, and has to find unchanged to be written.
 *
 * <p>The keys are held against other writers as those of the batch are, before the check begins and
 * until the batch is over; so what the check finds is so at the moment at which the batch shows.
 *
 * @param keys the keys that were read: the number of the map, a byte, and behind it the key
 * @param everything whether all keys are held: what was read is a range, and a key that is not
 *     there yet can come into it
 * @param check throws what the write is to throw; runs with no leaf locked
 */
public record ReadGuard(List<byte[]> keys, boolean everything, Runnable check) {}
