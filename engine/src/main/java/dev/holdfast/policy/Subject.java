package dev.holdfast.policy;

/**
 * What a fault hit.
 *
 * @param role what the volume is for
 * @param content what lies in the range
 */
public record Subject(Role role, Content content) {
  /** What lies in a range. */
  public enum Content {
    /** What users stored, or nothing at all. */
    VALUE,
    /** A structure that the store needs to work. */
    METADATA
  }
}
