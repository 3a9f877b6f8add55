package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.LegState;
import dev.holdfast.health.pipeline.HealthPipeline;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.AbsentDevice;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Leg;
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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
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

  static OpenStore open(StoreBuilder options) {
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

  private static OpenStore open(StoreBuilder options, StoreFiles files, List<PmemDevice> devices) {
    RecoveryNotice notice = RecoveryNotice.begun(options.directory.toString());
    if (!options.readOnly) {
      files.undoCreation();
    } else if (files.isUnfinished()) {
      throw nothingToRead(options);
    }
    LegRoster roster = roster(options);
    List<Path> legFiles = legFiles(options, files, roster);
    requireApart(options, legFiles);
    LegDevices kind = LegDevices.of(options, legFiles);
    News news = new News();
    StoreLog log = new StoreLog(options, files, kind, news);
    StoreBulk bulk = new StoreBulk(options);
    try {
      return open(options, files, roster, legFiles, kind, news, log, bulk, devices, notice);
    } catch (RuntimeException | Error e) {
      bulk.forceClose();
      log.abandon();
      log.closeDevices();
      throw e;
    }
  }

  private static OpenStore open(
      StoreBuilder options,
      StoreFiles files,
      LegRoster roster,
      List<Path> legFiles,
      LegDevices kind,
      News news,
      StoreLog log,
      StoreBulk bulk,
      List<PmemDevice> devices,
      RecoveryNotice notice) {
    VolumeOpener opener =
        new VolumeOpener(files.witness(), news, options.observer)
            .clock(options.wallClock)
            .log(log::look)
            .bulkOf(options.bulkOf);
    boolean exists =
        Files.exists(files.witness())
            || legFiles.stream().anyMatch(file -> Files.exists(file) || isRemoved(file));
    if (!exists && (options.readOnly || options.mustExist)) {
      throw nothingToRead(options);
    }
    if (!exists) {
      log.requireFree();
    }
    VolumeOpener.Opened opened =
        exists
            ? openExisting(options, opener, legFiles, roster, kind, devices)
            : create(options, opener, files, legFiles, kind, devices);
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
      OpenStore store =
          begin(options, files, roster, legFiles, kind, news, log, bulk, opened, tree, reverseMap);
      notice.end(store, !opened.unclean(), opened.stale().size());
      return store;
    } catch (RuntimeException | Error e) {
      // It works on what is about to be closed, and that somebody else may open then.
      tree.close();
      boolean _ = tree.endWork(END_NANOS);
      throw e;
    }
  }

  private static OpenStore begin(
      StoreBuilder options,
      StoreFiles files,
      LegRoster roster,
      List<Path> legFiles,
      LegDevices kind,
      News news,
      StoreLog log,
      StoreBulk bulk,
      VolumeOpener.Opened opened,
      Tree tree,
      ReverseMap reverseMap) {
    Volume volume = opened.volume();
    takeUp(roster, volume, legFiles, options.readOnly);
    tree.keepForSnapshots(options.snapshotBytes);
    tree.packColdLeavesAfter(options.packColdLeavesAfter);
    tree.observeBatches(options.batchObserver);
    log.tell(tree);
    bulk.tell(tree, volume);
    tree.open(opened.unclean(), opened.summary(), options.buildsAhead);
    bulk.begin(); // It may refuse: before there is anything that looks at the legs.
    PolicyCourt court = new PolicyCourt(options.policy, options.policyDeadline, news);
    FaultResponse response =
        new FaultResponse(
            volume,
            tree,
            reverseMap,
            court,
            options.role,
            news,
            options.clock,
            options.resilverRate);
    HealthPipeline pipeline =
        new HealthPipeline(options.directory.toString(), RING_SIZE, response, RESCAN_INTERVAL);
    news.pipeline = pipeline;
    log.begin(tree, volume, court, pipeline::requestRescan);
    response.watch(log);
    for (HealthListener listener : options.listeners) {
      pipeline.addListener(listener);
    }
    Heartbeats heartbeats =
        new Heartbeats(
            volume,
            news,
            "holdfast-heartbeat-",
            options.heartbeat,
            options.expelAfter,
            options.clock);
    volume.silentFor(options.expelAfter);
    LegChanges changes =
        new LegChanges(
            files.directory(), roster, kind, volume, reverseMap, response, heartbeats, news);
    SpareLegs spares =
        new SpareLegs(changes, roster, volume, response, options.spareAfter, options.clock);
    if (options.spares != null && !options.readOnly) {
      roster.spares(options.spares);
    }
    spares.begin();
    response.watch(spares);
    NamedMaps maps =
        new NamedMaps(
            tree,
            volume,
            reverseMap,
            kind.mode(),
            options.directory.toString(),
            options.readOnly ? Duration.ZERO : options.sweepExpiredEvery,
            options.wallClock);
    OpenStore store =
        new OpenStore(
            files,
            spares,
            changes,
            kind,
            volume,
            tree,
            reverseMap,
            pipeline,
            response,
            heartbeats,
            new Scrubbing(scrubs(options, files), tree, volume, response, news, log::scrub),
            new RingWrites(
                tree, options.directory.toString(), options.asyncSettings(), kind.mode()),
            maps,
            log,
            bulk);
    store.begin(opened.stale());
    if (options.buildsAhead) {
      store.beginBuilding();
    }
    store.beginScrubbing();
    store.beginMaps();
    logOpening(options, kind, volume);
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
        options.clock);
  }

  private static InvalidImageException nothingToRead(StoreBuilder options) {
    return new InvalidImageException(
        options.directory + ": expected a store to read, was nothing there");
  }

  /** One that is damaged is made anew where somebody says where the legs lie. */
  private static LegRoster roster(StoreBuilder options) {
    try {
      return LegRoster.read(options.directory);
    } catch (InvalidImageException e) {
      if (options.legFiles.isEmpty()) {
        throw e;
      }
      LOG.log(Level.WARNING, e.getMessage());
      return LegRoster.empty(options.directory);
    }
  }

  /** Notes where the legs lie that were found. */
  private static void takeUp(
      LegRoster roster, Volume volume, List<Path> legFiles, boolean readOnly) {
    Map<Integer, Path> found = new HashMap<>();
    List<Integer> away = new ArrayList<>();
    for (Leg leg : volume.allLegs()) {
      if (leg.device() instanceof AbsentDevice) {
        if (leg.state() != LegState.DETACHED) {
          away.add(leg.index());
        }
      } else {
        found.put(leg.index(), Path.of(leg.device().name()));
      }
    }
    Set<Path> taken = new HashSet<>();
    found.values().forEach(place -> taken.add(LegRoster.absolute(place)));
    away.forEach(leg -> roster.placeOf(leg).ifPresent(taken::add));
    for (int leg : away) {
      if (roster.placeOf(leg).isEmpty()) {
        // It is expected where it was looked for, and no other leg is.
        Path own = leg < legFiles.size() ? legFiles.get(leg) : null;
        Stream.concat(Stream.ofNullable(own), legFiles.stream())
            .map(LegRoster::absolute)
            .filter(taken::add)
            .findFirst()
            .ifPresent(file -> found.put(leg, file));
      }
    }
    roster.found(found, away, !readOnly);
  }

  private static List<Path> legFiles(StoreBuilder options, StoreFiles files, LegRoster roster) {
    if (!options.legFiles.isEmpty()) {
      List<Path> all = new ArrayList<>(options.legFiles);
      for (Path place : roster.places()) {
        if (options.legFiles.stream().noneMatch(file -> LegRoster.absolute(file).equals(place))) {
          all.add(place);
        }
      }
      return all;
    }
    if (!roster.places().isEmpty()) {
      return roster.places();
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

  /** A log that is a leg, or is on the way to be one, is a slip. */
  private static void requireApart(StoreBuilder options, List<Path> legFiles) {
    List<Path> taken = new ArrayList<>(legFiles);
    taken.addAll(options.spares == null ? List.of() : options.spares);
    requireApart("log", options.logFiles, taken, "a leg or spare");
    taken.addAll(options.logFiles);
    requireApart("bulk", options.bulkFiles, taken, "a leg, a spare or the log");
    taken.addAll(options.bulkFiles);
    Path cache = options.cacheFile;
    requireApart(
        "cache",
        cache == null ? List.of() : List.of(cache),
        taken,
        "a leg, a spare, the log or the BULK volume");
  }

  private static void requireApart(
      String what, List<Path> files, List<Path> taken, String whatTheyAre) {
    for (Path file : files) {
      for (Path other : taken) {
        if (LegRoster.absolute(file).equals(LegRoster.absolute(other)) || isSame(file, other)) {
          throw new IllegalArgumentException(
              what + ": expected a file of its own, was " + file + ", the place of " + whatTheyAre);
        }
      }
    }
  }

  private static boolean isSame(Path file, Path other) {
    try {
      return Files.exists(file) && Files.exists(other) && Files.isSameFile(file, other);
    } catch (java.io.IOException e) {
      return false; // What cannot be looked at cannot be opened either.
    }
  }

  static boolean isRemoved(Path file) {
    return Files.exists(file.resolveSibling(file.getFileName() + ".removed"));
  }

  private static VolumeOpener.Opened create(
      StoreBuilder options,
      VolumeOpener opener,
      StoreFiles files,
      List<Path> legFiles,
      LegDevices kind,
      List<PmemDevice> devices) {
    files.beginCreation(legFiles);
    long capacity = VolumeLayout.wholePages(Math.min(options.initialCapacity, options.maxCapacity));
    while (true) {
      try {
        for (Path file : legFiles) {
          devices.add(kind.create(file, capacity));
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
      StoreBuilder options,
      VolumeOpener opener,
      List<Path> legFiles,
      LegRoster roster,
      LegDevices kind,
      List<PmemDevice> devices) {
    List<PmemDevice> present = new ArrayList<>();
    Map<Path, String> absent = new HashMap<>();
    for (int i = 0; i < legFiles.size(); i++) {
      Path file = legFiles.get(i);
      try {
        PmemDevice device = kind.open(file);
        boolean isNamed = options.legFiles.isEmpty() || i < options.legFiles.size();
        if (!isNamed && present.stream().anyMatch(other -> other.id().equals(device.id()))) {
          device.close(); // The leg lies elsewhere now: somebody says so.
          continue;
        }
        devices.add(device);
        present.add(device);
      } catch (DeviceOfflineException e) {
        absent.put(file, e.getMessage());
      } catch (InvalidImageException e) {
        if (isMaking(roster, file)) {
          removeMade(roster, file, options);
          continue;
        }
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
          Path unknown = index < legFiles.size() ? legFiles.get(index) : options.directory;
          Path file = roster.placeOf(index).orElse(unknown);
          // Only now: a store of one leg misses no second one.
          LOG.log(
              Level.WARNING,
              absent.getOrDefault(file, file + ": the device of leg " + index + " is not there"));
          return new AbsentDevice(device, file.toString(), kind.mode());
        },
        (device, wasOne) -> {
          Path file = Path.of(device.name());
          if (wasOne ? options.legFiles.contains(file) : !isMaking(roster, file)) {
            return false;
          }
          LOG.log(Level.WARNING, file + ": is no leg of the store, and is left out");
          devices.remove(device);
          device.close();
          if (!wasOne) {
            removeMade(roster, file, options);
          }
          return true;
        },
        options.openDegraded,
        options.readOnly);
  }

  private static boolean isMaking(LegRoster roster, Path file) {
    return roster.making().equals(Optional.of(LegRoster.absolute(file)));
  }

  /** Removes what was being made when the process died, and that no leg knows: nothing is on it. */
  private static void removeMade(LegRoster roster, Path file, StoreBuilder options) {
    if (!options.readOnly) {
      LegChanges.remove(file);
      roster.unmake(file);
    }
  }

  private static void logOpening(StoreBuilder options, LegDevices kind, Volume volume) {
    String redundancy = "one leg: what a device loses is lost";
    if (volume.countLegs() > 1) {
      redundancy =
          onOneFileSystem(volume)
              ? volume.countLegs()
                  + " legs on one file system: media faults of either are survived, the loss of"
                  + " what both lie on is not"
              : volume.countLegs() + " legs";
    }
    HoldfastException readOnly = volume.readOnlyCause();
    LOG.log(
        Level.INFO,
        options.directory
            + ": open, persistence "
            + kind.words()
            + ", "
            + redundancy
            + (readOnly == null ? "" : ", read-only: " + readOnly.getMessage()));
  }

  private static boolean onOneFileSystem(Volume volume) {
    try {
      Object first = null;
      for (var leg : volume.allLegs()) {
        if (leg.state() == LegState.DETACHED) {
          continue;
        }
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
