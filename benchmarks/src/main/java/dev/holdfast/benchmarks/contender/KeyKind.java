package dev.holdfast.benchmarks.contender;

/** What keys look like. Both kinds sort by their id, as bytes without a sign. */
public enum KeyKind {
  /** 16 ASCII digits, padded with zeros in front. */
  STRING(16),

  /** 4 bytes, big-endian. */
  INT(4);

  private final int length;

  KeyKind(int length) {
    this.length = length;
  }

  /** The bytes of a key. */
  public int length() {
    return length;
  }
}
