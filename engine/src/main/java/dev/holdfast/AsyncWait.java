package dev.holdfast;

/**
 * What the thread that stores asynchronous writes does while there are none, see {@link
 * StoreBuilder#asyncWait}.
 */
public enum AsyncWait {
  /** It sleeps, and takes no processor: the default. To wake it takes some microseconds. */
  PARK,
  /** It looks again and again, and lets others have its processor in between. */
  YIELD,
  /** It looks again and again: where it has a processor of its own, and nobody else wants it. */
  SPIN
}
