package dev.holdfast;

import dev.holdfast.pmem.DaxDevice;
import dev.holdfast.pmem.DaxMount;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Makes the devices of a store, all of one kind and in one mode, also those that come later.
 *
 * @param dax whether they are DAX files; else emulated devices
 * @param mode how far they carry a store
 * @param words the mode for people, with the reason if it is not the one that was asked for
 */
record LegDevices(boolean dax, PersistenceMode mode, String words) {
  /**
   * Finds out what the places of the legs can do.
   *
   * @throws IllegalArgumentException if they cannot do what was asked for; says why
   */
  static LegDevices of(StoreBuilder options, List<Path> legFiles) {
    PersistenceMode asked = options.persistence;
    DaxFallback fallback = options.dax;
    if (fallback == null) {
      for (Path file : legFiles) {
        EmulatedDevice.requireMode(file, asked);
      }
      return new LegDevices(false, asked, asked.toString());
    }
    if (asked != PersistenceMode.DAX) {
      return new LegDevices(true, asked, asked + " on DAX files");
    }
    // Where a leg is not there, neither is its mount: it says nothing about the others.
    boolean any = legFiles.stream().anyMatch(file -> Files.exists(file));
    for (Path file : legFiles) {
      if (any && !Files.exists(file)) {
        continue;
      }
      DaxMount mount = DaxMount.probe(file);
      if (mount.dax()) {
        continue;
      }
      if (fallback == DaxFallback.REFUSE) {
        throw new IllegalArgumentException(
            "leg: expected a file on a DAX mount, was " + mount.words());
      }
      return new LegDevices(
          true, PersistenceMode.FILE, "FILE (msync) instead of DAX, because of " + mount.words());
    }
    return new LegDevices(true, asked, "DAX (cache lines are written back)");
  }

  PmemDevice create(Path file, long capacity) {
    return dax
        ? DaxDevice.create(file, capacity, mode)
        : EmulatedDevice.create(file, capacity, mode);
  }

  /**
   * Opens what is there.
   *
   * @throws dev.holdfast.error.DeviceOfflineException if it is not
   */
  PmemDevice open(Path file) {
    return dax ? DaxDevice.open(file, mode) : EmulatedDevice.open(file, mode);
  }
}
