package dev.holdfast.health;

/** The state of a store. */
public enum StoreState {
  /** All legs hold everything. */
  ONLINE,
  /** Everything is served, with less redundancy than asked for. */
  DEGRADED,
  /** Reads are served, writes are refused. */
  READ_ONLY,
  /** Nothing can be served: no leg can be reached. */
  FAILED
}
