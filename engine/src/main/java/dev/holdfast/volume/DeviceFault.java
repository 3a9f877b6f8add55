package dev.holdfast.volume;

import org.jspecify.annotations.Nullable;

/**
 * Some leg faulted under an access: nothing that the access did counts. Thrown to the outermost
 * frame of an operation, which holds no lock there, tells the volume and starts over.
 */
public final class DeviceFault extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient LegSet legs;
  private final long offset;
  private final long length;
  private final transient @Nullable Leg refused;
  private final boolean silent;
  private transient @Nullable DeviceFault also;

  DeviceFault(LegSet legs, long offset, long length) {
    super("a leg faulted inside [" + offset + ", +" + length + ")", null, false, false);
    this.legs = legs;
    this.offset = offset;
    this.length = length;
    this.refused = null;
    this.silent = false;
  }

  DeviceFault(LegSet legs, Leg refused, String why) {
    this(legs, refused, why, false);
  }

  /**
   * @param silent whether its medium does not answer at all, and may yet
   */
  DeviceFault(LegSet legs, Leg refused, String why, boolean silent) {
    super("leg " + refused.index() + ": " + why, null, false, false);
    this.legs = legs;
    this.offset = 0;
    this.length = 0;
    this.refused = refused;
    this.silent = silent;
  }

  /** Adds what another leg met in the same pass: it is not asked again either. */
  DeviceFault with(@Nullable DeviceFault other) {
    also = other;
    return this;
  }

  /** What another leg met in the same pass. */
  @Nullable DeviceFault also() {
    return also;
  }

  /** What happened, for people. */
  String why() {
    return String.valueOf(getMessage());
  }

  /** Whether the leg was not refused, but not answered. */
  boolean isSilent() {
    return silent;
  }

  /** The leg whose medium refused a flush; null for a memory fault. */
  @Nullable Leg refused() {
    return refused;
  }

  LegSet legs() {
    return legs;
  }

  long offset() {
    return offset;
  }

  long length() {
    return length;
  }
}
