package dev.holdfast.benchmarks;

import dev.holdfast.pmem.PersistenceMode;

/**
 * What is measured by itself: a fault, to a store, under a load.
 *
 * @param fault what is done to a leg
 * @param topology on how many legs the store lies
 * @param size how much data there is
 * @param load who works on it
 * @param persistence how far acknowledged writes come
 */
record FailoverCell(
    FailoverFault fault,
    FailoverTopology topology,
    ByteSize size,
    LoadMix load,
    PersistenceMode persistence) {
  /** What to call it in tables and charts. */
  String title() {
    return "%s %s %s, %s, %s".formatted(fault, topology, size, load.name(), persistence);
  }
}
