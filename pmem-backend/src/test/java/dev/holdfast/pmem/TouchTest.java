package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A probe is a load whose result nobody uses: warm, a plain one would be left out. */
final class TouchTest {
  @TempDir Path directory;

  @Test
  void warmTouchOfALostPageFaultsEveryTime() {
    try (EmulatedDevice device =
        EmulatedDevice.create(directory.resolve("d"), 1 << 20, PersistenceMode.PROCESS)) {
      Window window = device.map();
      int faults = 0;
      for (int i = 0; i < 200_000; i++) {
        faults += Access.faults(window, i & 0xffff) ? 1 : 0;
      }
      assertEquals(0, faults);
      device.faults().remove();
      for (int i = 0; i < 1_000; i++) {
        faults += Access.faults(window, i & 0xffff) ? 1 : 0;
      }
      assertEquals(1_000, faults);
      window.close();
    }
  }
}
