package dev.holdfast;

import java.util.Arrays;

/** A {@linkplain dev.holdfast.tree.BulkSpace place} in the BULK volume, to look things up by. */
final class BulkPlace {
  private final byte[] bytes;
  private final int hash;

  /** Keeps the array, which nobody changes. */
  BulkPlace(byte[] bytes) {
    this.bytes = bytes;
    this.hash = Arrays.hashCode(bytes);
  }

  byte[] bytes() {
    return bytes;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof BulkPlace place && Arrays.equals(bytes, place.bytes);
  }

  @Override
  public int hashCode() {
    return hash;
  }
}
