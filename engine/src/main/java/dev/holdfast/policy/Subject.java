package dev.holdfast.policy;

import dev.holdfast.rmap.Owner;

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

  /** The subject that an owner of the reverse map is, in a volume of a role. */
  public static Subject of(Role role, Owner owner) {
    return new Subject(
        role,
        switch (owner) {
          case Owner.Value value -> Content.VALUE;
          case Owner.Tree tree -> Content.VALUE;
          case Owner.Metadata metadata -> Content.METADATA;
        });
  }
}
