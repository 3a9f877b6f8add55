package dev.holdfast.async;

import org.jspecify.annotations.Nullable;

/** One place of the ring. */
final class RingSlot {
  /** Volatile: whoever ends the ring looks at the places of others. */
  volatile @Nullable Entry<?> entry;
}
