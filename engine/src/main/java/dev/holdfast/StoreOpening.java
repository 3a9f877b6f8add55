package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.HealthPipeline;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.AbsentDevice;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import dev.holdfast.volume.VolumeNews;
import dev.holdfast.volume.VolumeOpener;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The composition root: makes the parts of a store and joins them. */
final class StoreOpening {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());
  private static final int RING_SIZE = 1024;
  private static final Duration RESCAN_INTERVAL = Duration.ofSeconds(1);

  /** How long an open that failed waits for the threads that it began. */
  private static final long END_NANOS = 2_000_000_000L;

  private StoreOpening() {}

  /** Where news go before the pipeline is there, and from then on. */
  private static final class News implements VolumeNews {
    private volatile @Nullable HealthPipeline pipeline;

    @Override
    public void publish(
        HealthEvent.Kind kind, int leg, long offset, long length, String detail, long nanoTime) {
      HealthPipeline to = pipeline;
      if (to != null) {
        to.publish(kind, leg, offset, length, detail, nanoTime);
      }
    }

    @Override
    public void report(int leg, FaultKind kind, long offset, long length) {
      HealthPipeline to = pipeline;
      if (to != null) {
        boolean _ = to.report(leg, kind, offset, length);
      }
    }
  }

  static Store open(StoreBuilder options) {
    if (options.readOnly && !Files.exists(options.directory)) {
      throw nothingToRead(options);
    }
    StoreFiles files = StoreFiles.take(options.directory);
    List<PmemDevice> devices = new ArrayList<>();
    try {
      return open(options, files, devices);
    } catch (RuntimeException | Error e) {
      for (PmemDevice device : devices) {
        device.close();
      }
      files.close();
      throw e;
    }
  }

  private static Store open(StoreBuilder options, StoreFiles files, List<PmemDevice> devices) {
    files.undoCreation();
    List<Path> legFiles = legFiles(options, files);
    for (Path file : legFiles) {
      EmulatedDevice.requireMode(file, options.persistence);
    }
    News news = new News();
    VolumeOpener opener = new VolumeOpener(files.witness(), news, options.observer);
    boolean exists =
        Files.exists(files.witness())
            || legFiles.stream().anyMatch(file -> Files.exists(file) || isRemoved(file));
    if (!exists && options.readOnly) {
      throw nothingToRead(options);
    }
    VolumeOpener.Opened opened =
        exists
            ? openExisting(options, opener, legFiles, devices)
            : create(options, opener, files, legFiles, devices);
    Volume volume = opened.volume();
    ReverseMap reverseMap = new ReverseMap();
    Tree tree =
        new Tree(
            volume,
            reverseMap,
            options.maxCapacity,
            options.memoryBudget,
            opened.nextSequence(),
            (leg, offset, length) -> news.report(leg, FaultKind.CHECKSUM, offset, length));
    try {
      return begin(options, files, legFiles, news, opened, tree, reverseMap);
    } catch (RuntimeException | Error e) {
      // It works on what is about to be closed, and that somebody else may open then.
      tree.close();
      boolean _ = tree.endWork(END_NANOS);
      throw e;
    }
  }

  private static Store begin(
      StoreBuilder options,
      StoreFiles files,
      List<Path> legFiles,
      News news,
      VolumeOpener.Opened opened,
      Tree tree,
      ReverseMap reverseMap) {
    Volume volume = opened.volume();
    tree.keepForSnapshots(options.snapshotBytes);
    tree.packColdLeavesAfter(options.packColdLeavesAfter);
    tree.observeBatches(options.batchObserver);
    tree.open(opened.unclean(), opened.summary(), options.buildsAhead);
    FaultResponse response =
        new FaultResponse(
            volume, tree, reverseMap, options.policy, news, options.clock, options.resilverRate);
    HealthPipeline pipeline =
        new HealthPipeline(options.directory.toString(), RING_SIZE, response, RESCAN_INTERVAL);
    news.pipeline = pipeline;
    for (HealthListener listener : options.listeners) {
      pipeline.addListener(listener);
    }
    Heartbeats heartbeats = new Heartbeats(volume, news, options.heartbeat, options.clock);
    OpenStore store =
        new OpenStore(
            files,
            legFiles,
            options.persistence,
            volume,
            tree,
            reverseMap,
            pipeline,
            response,
            heartbeats,
            new Scrubbing(scrubs(options, files), tree, volume, response, news));
    store.begin(opened.stale());
    if (options.buildsAhead) {
      store.beginBuilding();
    }
    store.beginScrubbing();
    logOpening(options, volume);
    heartbeats.start();
    return store;
  }

  /** Who opens to read alone does not want the devices worn, and changes no file. */
  private static Scrubbing.Settings scrubs(StoreBuilder options, StoreFiles files) {
    return new Scrubbing.Settings(
        options.readOnly ? Duration.ZERO : options.scrubEvery,
        options.scrubRate,
        files.scrub(),
        options.scrubCheckpoint,
        System::nanoTime);
  }

  private static InvalidImageException nothingToRead(StoreBuilder options) {
    return new InvalidImageException(
        options.directory + ": expected a store to read, was nothing there");
  }

  private static List<Path> legFiles(StoreBuilder options, StoreFiles files) {
    if (!options.legFiles.isEmpty()) {
      return options.legFiles;
    }
    // An existing store has the legs it has, whatever is asked for.
    List<Path> two = files.defaultLegs(2);
    boolean hasAny = two.stream().anyMatch(file -> Files.exists(file) || isRemoved(file));
    if (!hasAny) {
      return files.defaultLegs(options.legs);
    }
    boolean hasSecond = Files.exists(two.get(1)) || isRemoved(two.get(1));
    return hasSecond || options.legs == 2 ? two : files.defaultLegs(1);
  }

  private static boolean isRemoved(Path file) {
    return Files.exists(file.resolveSibling(file.getFileName() + ".removed"));
  }

  private static VolumeOpener.Opened create(
      StoreBuilder options,
      VolumeOpener opener,
      StoreFiles files,
      List<Path> legFiles,
      List<PmemDevice> devices) {
    files.beginCreation(legFiles);
    long capacity = VolumeLayout.wholePages(Math.min(options.initialCapacity, options.maxCapacity));
    while (true) {
      try {
        for (Path file : legFiles) {
          devices.add(EmulatedDevice.create(file, capacity, options.persistence));
        }
        VolumeOpener.Opened opened = opener.create(devices);
        files.endCreation();
        return opened;
      } catch (OutOfSpaceException e) {
        // A small place (a /dev/shm of 64 MB, say) takes a small store; it grows when it can.
        for (PmemDevice device : devices) {
          device.close();
        }
        devices.clear();
        files.undoCreation();
        files.beginCreation(legFiles);
        if (capacity / 2 < StoreBuilder.MIN_CAPACITY) {
          files.endCreation();
          throw e;
        }
        capacity = VolumeLayout.wholePages(capacity / 2);
      }
    }
  }

  private static VolumeOpener.Opened openExisting(
      StoreBuilder options, VolumeOpener opener, List<Path> legFiles, List<PmemDevice> devices) {
    List<PmemDevice> present = new ArrayList<>();
    Map<Path, String> absent = new HashMap<>();
    for (Path file : legFiles) {
      try {
        EmulatedDevice device = EmulatedDevice.open(file, options.persistence);
        devices.add(device);
        present.add(device);
      } catch (DeviceOfflineException e) {
        absent.put(file, e.getMessage());
      } catch (InvalidImageException e) {
        if (legFiles.size() == 1) {
          throw e;
        }
        // One label is damaged: the other leg decides whether the store opens without this one.
        LOG.log(Level.WARNING, e.getMessage());
      }
    }
    return opener.open(
        present,
        (index, device) -> {
          Path file = index < legFiles.size() ? legFiles.get(index) : options.directory;
          // Only now: a store of one leg misses no second one.
          LOG.log(
              Level.WARNING,
              absent.getOrDefault(file, file + ": the device of leg " + index + " is not there"));
          return new AbsentDevice(device, file.toString(), options.persistence);
        },
        options.openDegraded,
        options.readOnly);
  }

  private static void logOpening(StoreBuilder options, Volume volume) {
    String redundancy = "one leg: what a device loses is lost";
    if (volume.allLegs().size() > 1) {
      redundancy =
          onOneFileSystem(volume)
              ? volume.allLegs().size()
                  + " legs on one file system: media faults of either are survived, the loss of"
                  + " what both lie on is not"
              : volume.allLegs().size() + " legs";
    }
    HoldfastException readOnly = volume.readOnlyCause();
    LOG.log(
        Level.INFO,
        options.directory
            + ": open, persistence "
            + options.persistence
            + ", "
            + redundancy
            + (readOnly == null ? "" : ", read-only: " + readOnly.getMessage()));
  }

  private static boolean onOneFileSystem(Volume volume) {
    try {
      Object first = null;
      for (var leg : volume.allLegs()) {
        // The device number: to ask for the file store itself reads the list of all mounts.
        Object place = Files.getAttribute(Path.of(leg.device().name()), "unix:dev");
        if (first != null && !first.equals(place)) {
          return false;
        }
        first = place;
      }
      return true;
    } catch (java.io.IOException e) {
      return false; // a leg is not there; nothing to warn of
    }
  }
}
