package dev.holdfast.volume;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OpenRefusedException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.health.LegState;
import dev.holdfast.health.RangeOrigin;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Makes and opens volumes: which legs take part, and what has to be done before they serve. */
public final class VolumeOpener {
  private static final System.Logger LOG = System.getLogger(VolumeOpener.class.getName());

  /** Sequences reserved at an open: enough for a year of writes, small in 63 bits. */
  private static final long SEQUENCES_PER_OPEN = 1L << 36;

  private final Path witnessFile;
  private final VolumeNews news;
  private final SwitchObserver observer;
  private LongSupplier clock = System::currentTimeMillis;
  private LogLookup logs = LogLookup.AS_IT_IS;

  /** The store whose redo log the volume is; null if it has entries. */
  private @Nullable UUID logOf;

  private @Nullable UUID bulkOf;

  private final SecureRandom random = new SecureRandom();

  /**
   * @param witnessFile where the witness lies
   * @param news who is told what happens
   * @param observer sees the steps by which a leg is taken out of use
   */
  public VolumeOpener(Path witnessFile, VolumeNews news, SwitchObserver observer) {
    this.witnessFile = witnessFile;
    this.news = news;
    this.observer = observer;
  }

  /** Tells the time of day from now on, in milliseconds since 1970. */
  public VolumeOpener clock(LongSupplier wallClock) {
    clock = wallClock;
    return this;
  }

  /** Looks for the volume with the redo log that way, while a volume is opened. */
  public VolumeOpener log(LogLookup lookup) {
    logs = lookup;
    return this;
  }

  /** Makes and opens volumes for the large values of a store, and no others. */
  public VolumeOpener bulkOf(@Nullable UUID storeId) {
    bulkOf = storeId;
    return this;
  }

  /** Makes and opens volumes for the redo log of a store, and no others. */
  public VolumeOpener logOf(UUID storeId) {
    logOf = storeId;
    return this;
  }

  /** What the superblock of a device says; empty if none can be read. */
  public static Optional<VolumeConfig> peek(PmemDevice device) {
    try {
      return Optional.of(SuperblockIo.read(device).config());
    } catch (InvalidImageException | PoisonedRangeException e) {
      return Optional.empty();
    }
  }

  /**
   * What an open found.
   *
   * @param volume the volume, serving the legs that hold everything
   * @param unclean whether it was not closed in order: dirty regions may differ between legs
   * @param summary what the records were when it was closed, if it was closed in order
   * @param stale the indexes of present legs that have to be copied to
   * @param nextSequence the first sequence that no record can have
   */
  public record Opened(
      Volume volume,
      boolean unclean,
      VolumeConfig.@Nullable Summary summary,
      List<Integer> stale,
      long nextSequence) {}

  /** Makes what stands for a leg that is not there. */
  @FunctionalInterface
  public interface MissingLeg {
    /** The stand-in for the leg at {@code index}, whose device should be {@code device}. */
    PmemDevice standIn(int index, UUID device);
  }

  /** Is told of devices that are there and are no legs of the volume. */
  @FunctionalInterface
  public interface Outside {
    /**
     * Whether to open without the device; it is closed by who opened it, then. If not, it is an
     * error that it is there.
     *
     * @param wasOne whether it was a leg once, and was taken out for good
     */
    boolean leave(PmemDevice device, boolean wasOne);
  }

  /** Makes a volume of fresh devices. */
  public Opened create(List<PmemDevice> devices) {
    long capacity = VolumeLayout.MAX_CAPACITY;
    List<UUID> ids = new ArrayList<>();
    List<LegMark> marks = new ArrayList<>();
    for (PmemDevice device : devices) {
      capacity = Math.min(capacity, device.capacity());
      ids.add(device.id());
      marks.add(LegMark.IN_SYNC);
    }
    VolumeConfig config =
        new VolumeConfig(
            UUID.randomUUID(),
            random.nextLong(),
            1,
            Epoch.NONE.next(random),
            Epoch.NONE,
            ids,
            marks,
            Collections.nCopies(marks.size(), VolumeConfig.Departure.NONE),
            capacity,
            SEQUENCES_PER_OPEN,
            null,
            false,
            0,
            List.of(),
            List.of(),
            RangeHistory.NONE,
            logOf == null ? null : new VolumeConfig.LogLink(true, logOf),
            false,
            bulkOf == null ? null : new VolumeConfig.BulkLink(true, bulkOf));
    List<Leg> legs = new ArrayList<>();
    List<Leg.Mapped> mapped = new ArrayList<>();
    try {
      for (int i = 0; i < devices.size(); i++) {
        Leg leg = new Leg(i, devices.get(i), LegState.ONLINE);
        legs.add(leg);
        mapped.add(new Leg.Mapped(leg, devices.get(i).map()));
      }
      for (Leg.Mapped leg : mapped) {
        if (!SuperblockIo.write(leg, config, null)) {
          throw new DeviceIoException(
              leg.leg().device().name() + ": the superblock cannot be written");
        }
      }
      Witness.of(config).write(witnessFile);
    } catch (RuntimeException e) {
      mapped.forEach(leg -> leg.window().close());
      throw e;
    }
    LegSet set = new LegSet(config.epoch(), mapped, mapped, null, false);
    Volume volume = volume(legs, mapped, set, config, new DirtyMap(), null);
    return new Opened(volume, false, new VolumeConfig.Summary(0, 0), List.of(), 1);
  }

  /**
   * Opens a volume.
   *
   * @param present the devices that are there, in any order
   * @param missing makes a stand-in for a leg that is not there, by index, so that it can return
   * @param outside is told of devices that are no legs
   * @param force whether to open with what is there
   * @param readOnly whether to leave the devices as they are
   */
  public Opened open(
      List<PmemDevice> present,
      MissingLeg missing,
      Outside outside,
      boolean force,
      boolean readOnly) {
    List<PmemDevice> candidates = new ArrayList<>(present);
    while (true) {
      List<PmemDevice> out = new ArrayList<>();
      Opened opened = openOf(candidates, missing, outside, out, force, readOnly);
      if (opened != null) {
        return opened;
      }
      candidates.removeAll(out);
    }
  }

  /** Null if some of the devices are no legs: then without those. */
  private @Nullable Opened openOf(
      List<PmemDevice> present,
      MissingLeg missing,
      Outside outside,
      List<PmemDevice> out,
      boolean force,
      boolean readOnly) {
    if (present.isEmpty()) {
      throw new DeviceOfflineException(
          witnessFile.toAbsolutePath().getParent() + ": no leg is there: put a device back");
    }
    Optional<Witness> witness = readWitness();
    List<@Nullable Superblock> found = new ArrayList<>();
    HoldfastException damage = null;
    for (PmemDevice device : present) {
      try {
        found.add(SuperblockIo.read(device));
      } catch (InvalidImageException | PoisonedRangeException e) {
        found.add(null);
        damage = e;
      }
    }
    List<Superblock> all = new ArrayList<>();
    for (Superblock superblock : found) {
      if (superblock != null) {
        all.add(superblock);
      }
    }
    if (all.isEmpty()) {
      return withoutSuperblock(present, witness, damage);
    }
    for (int i = 0; i < present.size(); i++) {
      PmemDevice device = present.get(i);
      Superblock superblock = found.get(i);
      boolean leave =
          superblock == null
              ? indexOf(device, all) < 0 && outside.leave(device, false)
              : isTakenOut(superblock, device, all);
      if (leave) {
        out.add(device);
      }
      if (leave && superblock != null && !outside.leave(device, true)) {
        throw takenOut(device, superblock);
      }
    }
    if (!out.isEmpty()) {
      return null;
    }
    requireRole(present, found);
    VolumeConfig any = all.getFirst().config();
    List<@Nullable VolumeConfig> configs = new ArrayList<>();
    List<@Nullable PmemDevice> byIndex = new ArrayList<>();
    for (int i = 0; i < VolumeLayout.MAX_LEGS; i++) {
      configs.add(null);
      byIndex.add(null);
    }
    List<Integer> damaged = new ArrayList<>();
    for (int i = 0; i < present.size(); i++) {
      place(present.get(i), found.get(i), any, all, configs, byIndex, damaged);
    }
    OpenRules.Decision decision = OpenRules.decide(configs, witness, force);
    if (decision instanceof OpenRules.Decision.Refuse refuse) {
      throw new OpenRefusedException(
          witnessFile.toAbsolutePath().getParent() + ": " + refuse.why());
    }
    OpenRules.Decision.Open open = (OpenRules.Decision.Open) decision;
    for (int i = 0; i < VolumeLayout.MAX_LEGS; i++) {
      PmemDevice device = byIndex.get(i);
      boolean unknown = device != null && !open.config().isLeg(i, device.id());
      if (device != null && (open.outside().contains(i) || (damaged.contains(i) && unknown))) {
        out.add(device);
        if (!outside.leave(device, false)) {
          throw new InvalidImageException(
              device.name()
                  + ": expected a leg of the store, was a device that was made for it and that the"
                  + " other legs do not know; leave it out");
        }
      }
    }
    return out.isEmpty()
        ? decide(open, byIndex.subList(0, open.config().legs()), damaged, missing, readOnly)
        : null;
  }

  /** A log that is taken for a store would look like an empty one. */
  private void requireRole(List<PmemDevice> present, List<@Nullable Superblock> found) {
    for (int i = 0; i < present.size(); i++) {
      Superblock superblock = found.get(i);
      VolumeConfig.LogLink link = superblock == null ? null : superblock.config().log();
      boolean isLog = link != null && link.isLog();
      if (superblock != null && isLog != (logOf != null)) {
        throw new InvalidImageException(
            present.get(i).name()
                + (link != null && link.isLog()
                    ? ": expected a leg with entries, was one of the LOG volume of store "
                        + link.other()
                    : ": expected a leg of a LOG volume, was one with the entries of store "
                        + superblock.config().storeId()));
      }
      if (superblock != null) {
        requireBulk(present.get(i), superblock.config());
      }
    }
  }

  /**
   * Large values are opened by the store that leads to them, before anything is written to them.
   */
  private void requireBulk(PmemDevice device, VolumeConfig config) {
    VolumeConfig.BulkLink link = config.bulk();
    UUID its = link != null && link.isBulk() ? link.other() : null;
    if (!Objects.equals(its, bulkOf)) {
      String what =
          its == null
              ? "one with the entries of store " + config.storeId()
              : "one of the BULK volume of store " + its;
      throw new InvalidImageException(
          device.name()
              + (bulkOf == null
                  ? ": expected a leg with entries, was "
                  : ": expected a leg of the BULK volume of store " + bulkOf + ", was ")
              + what);
    }
  }

  /** The place that some leg knows of a device; -1 if none does. */
  private static int indexOf(PmemDevice device, List<Superblock> all) {
    int index = -1;
    for (Superblock other : all) {
      index = Math.max(index, other.config().devices().indexOf(device.id()));
    }
    return index;
  }

  private static InvalidImageException takenOut(PmemDevice device, Superblock superblock) {
    return new InvalidImageException(
        device.name()
            + ": expected a leg of store "
            + superblock.config().storeId()
            + ", was a device that was detached from it (it was leg "
            + superblock.leg()
            + "), which lacks what was written since and never is a leg again; open without it, and"
            + " attach its place once its file is removed");
  }

  private static boolean isTakenOut(
      Superblock superblock, PmemDevice device, List<Superblock> all) {
    List<Superblock> others =
        all.stream()
            .filter(other -> !other.equals(superblock))
            .filter(other -> other.config().storeId().equals(superblock.config().storeId()))
            .toList();
    return OpenRules.wasTakenOut(superblock, device.id(), others);
  }

  /** Finds the place of a device in the volume, by what it says itself, not by its file's name. */
  private static void place(
      PmemDevice device,
      @Nullable Superblock superblock,
      VolumeConfig any,
      List<Superblock> all,
      List<@Nullable VolumeConfig> configs,
      List<@Nullable PmemDevice> byIndex,
      List<Integer> damaged) {
    int index;
    if (superblock == null) {
      index = indexOf(device, all);
      if (index < 0) {
        throw new InvalidImageException(
            device.name()
                + ": expected a device of store "
                + any.storeId()
                + ", was one without a readable superblock that the store does not know");
      }
      damaged.add(index);
    } else {
      index = superblock.leg();
      if (!superblock.config().storeId().equals(any.storeId())) {
        throw new InvalidImageException(
            device.name()
                + ": expected a leg of store "
                + any.storeId()
                + ", as the other device has it, was one of "
                + superblock.config().storeId()
                + "; one of the two is in the wrong place");
      }
    }
    PmemDevice other = byIndex.get(index);
    if (other != null) {
      throw new InvalidImageException(
          device.name()
              + ": expected one device as leg "
              + index
              + ", was a second one beside "
              + other.name());
    }
    byIndex.set(index, device);
    configs.set(index, superblock == null ? null : superblock.config());
  }

  private Opened decide(
      OpenRules.Decision.Open open,
      List<@Nullable PmemDevice> byIndex,
      List<Integer> damaged,
      MissingLeg missing,
      boolean readOnly) {
    VolumeConfig truth = open.config();
    List<Integer> stale = new ArrayList<>(open.stale());
    stale.addAll(damaged);

    List<Leg> legs = new ArrayList<>();
    List<Leg.Mapped> mapped = new ArrayList<>();
    List<LegRange> bad = new ArrayList<>();
    DirtyMap dirty = new DirtyMap();
    boolean unclean = truth.summary() == null;
    long capacity = truth.capacity();
    List<Integer> inSync = new ArrayList<>(open.inSync());
    List<Integer> cutOff = shorterThan(capacity, inSync, byIndex);
    if (cutOff.size() < inSync.size()) {
      // Its file lost its end. Another leg has it: this one is copied to as a whole.
      inSync.removeAll(cutOff);
      stale.addAll(cutOff);
    }
    for (int i = 0; i < byIndex.size(); i++) {
      PmemDevice device = byIndex.get(i);
      boolean serves = device != null && inSync.contains(i);
      LegState state =
          serves ? LegState.ONLINE : device != null ? LegState.OFFLINE : LegState.REMOVED;
      if (truth.markOf(i) == LegMark.DETACHED) {
        legs.add(LegSlots.empty(i, truth.devices().get(i)));
        continue;
      }
      Leg leg =
          new Leg(i, device == null ? missing.standIn(i, truth.devices().get(i)) : device, state);
      legs.add(leg);
      if (!serves || device == null) {
        continue;
      }
      requireCapacity(device, capacity);
      mapped.add(new Leg.Mapped(leg, device.map()));
      for (BadRange range : device.badBlocks()) {
        Exclusions.addPages(bad, i, range.offset(), range.length(), capacity);
      }
      for (LegRange range : truth.bad()) {
        if (range.leg() == i) {
          Exclusions.addPages(bad, i, range.offset(), range.length(), capacity);
        }
      }
      // Closed in order, too: what a leg misses that is away stays marked.
      dirty.addFrom(leg, capacity);
    }
    for (LegRange range : bad) {
      legs.get(range.leg()).state(LegState.DEGRADED);
    }
    return serve(truth, legs, mapped, bad, dirty, unclean, stale, readOnly);
  }

  private Opened serve(
      VolumeConfig truth,
      List<Leg> legs,
      List<Leg.Mapped> mapped,
      List<LegRange> bad,
      DirtyMap dirty,
      boolean unclean,
      List<Integer> stale,
      boolean readOnly) {
    Exclusions exclusions = Exclusions.of(bad, List.of());
    long nextSequence = truth.sequenceCeiling() + 1;
    HoldfastException cause = null;
    LogLookup.Outcome log = logs.look(truth, unclean);
    if (readOnly) {
      cause = new HoldfastException("it was opened read-only", null);
    } else if (mapped.size() == 1 && LegSlots.taken(legs) == 1) {
      for (LegRange range : bad) {
        if (range.offset() < VolumeLayout.TABLE_ROOT_OFFSET) {
          cause =
              new PoisonedRangeException(
                  legs.get(0).device().name()
                      + ": metadata is poisoned inside ["
                      + range.offset()
                      + ", +"
                      + range.length()
                      + ") and has no other copy");
        }
      }
    }
    if (cause == null && log instanceof LogLookup.Outcome.Missing(String why)) {
      cause = new DeviceOfflineException(why);
    }
    if (cause != null) {
      LegSet set = new LegSet(truth.epoch(), mapped, List.of(), exclusions, false);
      Volume volume = volume(legs, mapped, set, truth, dirty, cause);
      return new Opened(volume, unclean, truth.summary(), List.of(), nextSequence);
    }
    VolumeConfig config =
        truth
            .withEpoch(truth.epoch().next(random))
            .withSequence(truth.sequence() + 1)
            .withSequenceCeiling(truth.sequenceCeiling() + SEQUENCES_PER_OPEN)
            .withSummary(null)
            .withBad(bad);
    if (log instanceof LogLookup.Outcome.Dropped) {
      config = config.withLog(null);
    }
    long now = clock.getAsLong();
    for (Leg.Mapped m : mapped) {
      config = config.withHistoryOf(m.leg().index(), RangeOrigin.DEVICE_LIST, now);
    }
    List<Leg.Mapped> serving = new ArrayList<>(mapped);
    while (true) {
      config = markAbsent(config, truth, legs, serving);
      Leg.Mapped refusing = writeSuperblocks(serving, config, exclusions);
      if (refusing == null) {
        break;
      }
      if (serving.size() == 1) {
        throw new DeviceIoException(
            refusing.leg().device().name() + ": the superblock cannot be written");
      }
      // It died since it was looked at. The others say so and serve.
      serving.remove(refusing);
      refusing.leg().state(LegState.FAULTED);
      exclusions = Exclusions.withoutLegs(exclusions, Set.of(refusing.leg().index()));
      // The epoch that it did not take never was in force: the next one follows the former, too.
      config =
          config
              .withEpoch(truth.epoch(), config.epoch().next(random))
              .withSequence(config.sequence() + 1)
              .withBad(Exclusions.bad(exclusions));
    }
    Witness.of(config).write(witnessFile);
    LegSet set = new LegSet(config.epoch(), serving, serving, exclusions, false);
    Volume volume = volume(legs, mapped, set, config, dirty, null);
    return new Opened(volume, unclean, truth.summary(), stale, nextSequence);
  }

  private static VolumeConfig markAbsent(
      VolumeConfig config, VolumeConfig truth, List<Leg> legs, List<Leg.Mapped> serving) {
    VolumeConfig marked = config;
    for (Leg leg : legs) {
      if (leg.state() != LegState.DETACHED && serving.stream().noneMatch(m -> m.leg() == leg)) {
        marked = marked.withDeparted(leg.index(), truth);
      }
    }
    return marked;
  }

  /** Returns the first leg that does not take it; null if all did. */
  private static Leg.@Nullable Mapped writeSuperblocks(
      List<Leg.Mapped> to, VolumeConfig config, @Nullable Exclusions exclusions) {
    for (Leg.Mapped leg : to) {
      if (!SuperblockIo.write(leg, config, exclusions)) {
        return leg;
      }
    }
    return null;
  }

  /** Every superblock is gone: what the witness knows is enough to read, not to write. */
  private Opened withoutSuperblock(
      List<PmemDevice> present, Optional<Witness> witness, @Nullable HoldfastException damage) {
    if (witness.isEmpty() || present.size() != 1 || damage == null) {
      throw damage == null ? new IllegalStateException("no damage") : damage;
    }
    PmemDevice device = present.get(0);
    long capacity = Math.min(device.capacity(), VolumeLayout.MAX_CAPACITY);
    List<LegRange> bad = new ArrayList<>();
    for (BadRange range : device.badBlocks()) {
      Exclusions.addPages(bad, 0, range.offset(), range.length(), capacity);
    }
    VolumeConfig config =
        new VolumeConfig(
            witness.get().storeId(),
            witness.get().secret(),
            0,
            witness.get().epoch(),
            Epoch.NONE,
            List.of(device.id()),
            List.of(LegMark.IN_SYNC),
            List.of(VolumeConfig.Departure.NONE),
            capacity,
            Long.MAX_VALUE / 2,
            null,
            false,
            0,
            bad,
            // What was lost, and whether it was closed in order, is not known either.
            List.of(LossRecord.ofAnything(0, capacity, Long.MAX_VALUE / 2)),
            RangeHistory.NONE,
            null,
            true,
            null);
    Leg leg = new Leg(0, device, LegState.DEGRADED);
    Leg.Mapped mapped = new Leg.Mapped(leg, device.map());
    LegSet set =
        new LegSet(
            config.epoch(), List.of(mapped), List.of(), Exclusions.of(bad, List.of()), false);
    DirtyMap dirty = new DirtyMap();
    dirty.markAllInDram(capacity);
    Volume volume =
        volume(
            List.of(leg),
            List.of(mapped),
            set,
            config,
            dirty,
            new HoldfastException("no superblock is left: " + damage.getMessage(), damage));
    return new Opened(volume, true, null, List.of(), Long.MAX_VALUE / 2);
  }

  private Optional<Witness> readWitness() {
    try {
      return Witness.read(witnessFile);
    } catch (InvalidImageException e) {
      // A damaged witness says nothing: the legs have to agree without it.
      return Optional.empty();
    }
  }

  private static List<Integer> shorterThan(
      long capacity, List<Integer> legs, List<@Nullable PmemDevice> byIndex) {
    List<Integer> shorter = new ArrayList<>();
    for (int leg : legs) {
      PmemDevice device = byIndex.get(leg);
      if (device != null && device.capacity() < capacity) {
        LOG.log(
            Level.WARNING,
            device.name() + ": expected at least " + capacity + " bytes, was " + device.capacity());
        shorter.add(leg);
      }
    }
    return shorter;
  }

  private static void requireCapacity(PmemDevice device, long capacity) {
    if (device.capacity() < capacity) {
      throw new InvalidImageException(
          device.name() + ": expected at least " + capacity + " bytes, was " + device.capacity());
    }
  }

  private Volume volume(
      List<Leg> legs,
      List<Leg.Mapped> mapped,
      LegSet set,
      VolumeConfig config,
      DirtyMap dirty,
      @Nullable HoldfastException cause) {
    Volume volume = new Volume(legs, set, config, dirty, witnessFile, news, observer, cause, clock);
    for (Leg.Mapped m : mapped) {
      Window window = m.window();
      volume.adopt(window);
    }
    return volume;
  }
}
