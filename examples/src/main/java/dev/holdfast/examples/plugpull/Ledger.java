package dev.holdfast.examples.plugpull;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;

/**
 * What was written and what was acknowledged, by entry and version, with the SHA-256 of the
 * source's bytes. The store is judged by it and never asked for it.
 *
 * <p>A value of version 0 is the source's bytes; a later version, made by overwriting, has its
 * number behind them as 8 bytes, so that an older one can be told from it.
 *
 * <p><b>Threads:</b> one writer, any number of readers.
 */
final class Ledger {
  static final int DIGEST_LENGTH = 32;
  private static final int NEVER = -1;

  private final long[] lengths;
  private final byte[] digests;
  private final AtomicIntegerArray issued;

  /** Publishes length and digest of its entry. */
  private final AtomicIntegerArray acknowledged;

  private volatile int frontier;
  private volatile int latest = NEVER;

  Ledger(int entries) {
    lengths = new long[entries];
    digests = new byte[Math.multiplyExact(entries, DIGEST_LENGTH)];
    int[] never = new int[entries];
    Arrays.fill(never, NEVER);
    issued = new AtomicIntegerArray(never);
    acknowledged = new AtomicIntegerArray(never);
  }

  int entries() {
    return lengths.length;
  }

  /** Takes down what the source holds, before its first write is issued. */
  void source(int index, long length, byte[] digest) {
    lengths[index] = length;
    System.arraycopy(digest, 0, digests, index * DIGEST_LENGTH, DIGEST_LENGTH);
  }

  /** A write is about to be handed to the store. */
  void issue(int index, int version) {
    issued.set(index, version);
  }

  /** The store acknowledged a write. */
  void acknowledge(int index, int version) {
    acknowledged.set(index, version);
    latest = index; // first: who sees a frontier above 0 sees a latest entry too
    frontier = Math.max(frontier, index + 1);
  }

  /** The newest acknowledged version; -1 where there is none. */
  int acknowledged(int index) {
    return acknowledged.get(index);
  }

  boolean isAcknowledged(int index) {
    return acknowledged.get(index) != NEVER;
  }

  /** The newest version handed to the store, acknowledged or not; -1 where there is none. */
  int issued(int index) {
    return issued.get(index);
  }

  /** Every acknowledged entry has a smaller index. */
  int frontier() {
    return frontier;
  }

  /** The entry that was acknowledged last; -1 only where {@link #frontier()} was still 0. */
  int latest() {
    return latest;
  }

  /** The bytes of the source. Valid once a write of the entry was issued. */
  long length(int index) {
    return lengths[index];
  }

  boolean digestEquals(int index, byte[] digest) {
    int from = index * DIGEST_LENGTH;
    return Arrays.equals(digests, from, from + DIGEST_LENGTH, digest, 0, DIGEST_LENGTH);
  }

  /** The number of entries with an acknowledged write. */
  int countAcknowledged() {
    int count = 0;
    for (int i = 0; i < frontier; i++) {
      if (isAcknowledged(i)) {
        count++;
      }
    }
    return count;
  }

  /** The number of entries whose writes were all refused or never acknowledged, but handed over. */
  int countUncertain() {
    int count = 0;
    for (int i = 0; i < lengths.length; i++) {
      if (issued.get(i) != NEVER && !isAcknowledged(i)) {
        count++;
      }
    }
    return count;
  }
}
