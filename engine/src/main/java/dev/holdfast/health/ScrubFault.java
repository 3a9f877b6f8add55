package dev.holdfast.health;

/** What a scrub finds wrong with bytes of a leg. */
public enum ScrubFault {
  /** Bytes that nobody wrote there: bit rot, mostly. */
  WRONG_BYTES,
  /** A write that was acknowledged is not there: zeros, or what was there before it. */
  LOST_WRITE,
  /** A record that was meant for another place. */
  MISDIRECTED_WRITE,
  /** A part of a write is there, and the rest is not. */
  TORN_WRITE,
  /** A page that cannot be read. */
  POISON
}
