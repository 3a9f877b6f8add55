package dev.holdfast;

import dev.holdfast.tree.BatchObserver;
import dev.holdfast.volume.SwitchObserver;

/** Opens the seam of the builder to tests of other packages. */
public final class ObservedStores {
  private ObservedStores() {}

  /** The builder, with an observer of the steps by which a leg is taken out of use. */
  public static StoreBuilder observing(StoreBuilder builder, SwitchObserver observer) {
    return builder.observer(observer);
  }

  /** The builder of a store that reads no leaf before somebody comes to it. */
  public static StoreBuilder lazy(StoreBuilder builder) {
    builder.buildsAhead = false;
    return builder;
  }

  /** The builder, with an observer of the steps of batches. */
  public static StoreBuilder observing(StoreBuilder builder, BatchObserver observer) {
    return builder.batchObserver(observer);
  }
}
