package dev.holdfast.policy;

/** What a volume is for. */
public enum Role {
  /** The entries of the store and what is needed to find them. */
  DATA,
  /** Changes that are acknowledged and have not settled into the data yet. */
  LOG,
  /** Large values. */
  BULK,
  /** Copies of what also lies elsewhere. */
  CACHE
}
