package dev.holdfast;

/**
 * A map of a store that has a name: see {@link Store#map}. Its keys are its own; a {@link
 * WriteBatch} or a {@link Transaction} may go over several maps of a store.
 *
 * <p><b>Lifetime:</b> as long as the store, or until the map is dropped: from then on its methods
 * throw {@link dev.holdfast.error.MapDroppedException}. <b>Threads:</b> any.
 */
public interface NamedMap extends RawMap {
  /** {@return the name that it has now} */
  String name();
}
