package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;

/**
 * What a store holds when it is measured.
 *
 * @param keys what its keys look like
 * @param ordered it was loaded in key order, with the ids from 0 on; otherwise in random order
 * @param entries how many
 * @param persistence what an acknowledged put survives
 */
record MicroStore(KeyKind keys, boolean ordered, int entries, PersistenceMode persistence) {
  /** The id of the entry that is loaded as the {@code index}th. */
  int id(int index) {
    return ordered ? index : Entries.scatteredId(index);
  }

  /** The bytes of all keys and values. */
  long payload() {
    return (long) entries * (keys.length() + Entries.VALUE_LENGTH);
  }
}
