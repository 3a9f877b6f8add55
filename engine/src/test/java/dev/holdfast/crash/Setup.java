package dev.holdfast.crash;

import dev.holdfast.ObservedStores;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.volume.SwitchObserver;
import java.nio.file.Path;

/**
 * How a store is opened.
 *
 * @param mode DAX or FILE, on tracked devices
 * @param mirrored whether it has two legs
 */
record Setup(PersistenceMode mode, boolean mirrored) {
  /** Small, because every image of it is laid out again and again. */
  private static final long CAPACITY = 2L << 20;

  Store open(Path directory) {
    return open(directory, SwitchObserver.NONE);
  }

  Store open(Path directory, SwitchObserver observer) {
    return ObservedStores.observing(builder(directory).persistence(mode), observer).open();
  }

  /** Opens, and reads no leaf before somebody comes to it. */
  Store openLazily(Path directory) {
    return ObservedStores.lazy(builder(directory).persistence(mode)).open();
  }

  /** Opens without flushing anything, to prepare what is enumerated later. */
  Store prepare(Path directory) {
    return builder(directory).open();
  }

  private StoreBuilder builder(Path directory) {
    StoreBuilder builder = Store.builder(directory).initialCapacity(CAPACITY);
    return mirrored ? builder.mirror() : builder.single();
  }

  @Override
  public String toString() {
    return mode + (mirrored ? " mirrored" : " single");
  }
}
