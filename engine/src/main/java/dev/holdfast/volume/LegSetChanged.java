package dev.holdfast.volume;

/**
 * Another leg set came into force while an operation ran: it has stored nothing and starts over.
 */
public final class LegSetChanged extends RuntimeException {
  private static final long serialVersionUID = 1L;

  LegSetChanged() {
    super("the leg set changed", null, false, false);
  }
}
