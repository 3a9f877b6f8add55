package dev.holdfast;

/**
 * An entry of a map, as it was when it was read. The arrays are copies of its own.
 *
 * @param key its key
 * @param value its value
 */
@SuppressWarnings("ArrayRecordComponent") // an entry is read, never compared
public record Entry(byte[] key, byte[] value) {}
