package dev.holdfast.pmem;

import java.nio.charset.StandardCharsets;

/**
 * A hash of what lies on media after a power cut, as a sum over everything that is not zero: a
 * change of one atom changes it by a difference, so that no state needs a pass over its bytes.
 *
 * <p><b>Source:</b> sums of well mixed words as the hash of a set: Clarke, Devadas, van Dijk,
 * Gassend, Suh, "Incremental Multiset Hash Functions and Their Application to Memory Integrity
 * Checking", ASIACRYPT 2003 (MSet-Add-Hash). Not keyed: it counts states, it protects nothing.
 */
final class StateHash {
  private static final long STEP = 0x9e3779b97f4a7c15L;

  private StateHash() {}

  /** Spreads every bit of a word over the whole word, one to one. */
  static long mix(long word) {
    long z = word + STEP;
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  /** What the atom at a byte offset adds; zeros add nothing, so that a hole costs nothing. */
  static long atom(long seed, long offset, long value) {
    return value == 0 ? 0 : mix(mix(seed ^ mix(offset)) ^ mix(value));
  }

  /** A word for a name or a small file. */
  static long of(byte[] bytes) {
    long hash = mix(bytes.length);
    for (byte b : bytes) {
      hash = mix(hash ^ (b & 0xff));
    }
    return hash;
  }

  static long of(String text) {
    return of(text.getBytes(StandardCharsets.UTF_8));
  }
}
