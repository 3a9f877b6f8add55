package dev.holdfast.architecture.engine;

import com.lmax.disruptor.RingBuffer;
import io.micrometer.core.instrument.Gauge;
import net.openhft.chronicle.bytes.PointerBytesStore;

/** Uses libraries where they must not be used. None of it is ever run. */
final class PlantedLibraries {
  private PlantedLibraries() {}

  static long cursor(RingBuffer<?> ring) {
    return ring.getCursor();
  }

  static double value(Gauge gauge) {
    return gauge.value();
  }

  static void point(PointerBytesStore store, long address) {
    store.set(address, 1);
  }
}
