package dev.holdfast;

import org.jspecify.annotations.Nullable;

/**
 * What lives in a range of every leg.
 *
 * @param offset the first byte, in every leg's device
 * @param length the number of bytes
 * @param map the name of the map that the record is of; null for the store's own, and structures
 * @param key the key of the record that lives there; null for a structure of the store
 * @param what what it is, for people
 */
@SuppressWarnings("ArrayRecordComponent") // a report is read, never compared
public record StoreExtent(
    long offset, long length, @Nullable String map, byte @Nullable [] key, String what) {}
