package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.RemovalRefusedException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.DeviceHolder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.Fault;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.policy.Role;
import dev.holdfast.policy.Subject;
import dev.holdfast.policy.Topology;
import dev.holdfast.policy.Verdict;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.AbsentDevice;
import dev.holdfast.volume.Heartbeats;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.LogLookup;
import dev.holdfast.volume.SwitchObserver;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeConfig;
import dev.holdfast.volume.VolumeLayout;
import dev.holdfast.volume.VolumeNews;
import dev.holdfast.volume.VolumeOpener;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The LOG volume of a store: a second, small volume with legs of its own, for the slots and records
 * of the redo log. Looks for it at an open, makes it where it is asked for and not there, and lets
 * go of it when it is lost: the log table in the volume with the entries is always there, and has
 * as many copies as they have.
 *
 * <p>Nothing is ever copied to a leg of it. At most one batch in it counts, none once the store is
 * open; so where a leg is missing or was left behind, the whole of it is made anew: by an open, and
 * beside a store that runs once the devices of all legs are back, between two batches.
 *
 * <p><b>Threads:</b> {@link #look} and {@link #begin} the one that opens the store; {@link #looked}
 * the health thread; what makes it anew has a thread of its own, as a medium may hang; the rest
 * any.
 */
final class StoreLog implements FaultResponse.LogWatch {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** The bytes of a leg, where there is room: larger batches go to the volume with the entries. */
  static final long CAPACITY = 16L << 20;

  /** A log that was whole for so long is made anew at once when it comes back. */
  private static final long STEADY_NANOS = 60_000_000_000L;

  /** So often it is looked whether a device lies in a place where none was. */
  private static final long LOOK_NANOS = 1_000_000_000L;

  private static final String ADVICE =
      "Batches are as safe as the entries are. Put its devices in order: the log is made there anew"
          + " as soon as all of them are back, or, where one refused to write, when the store is"
          + " opened again; or free their places, and open the store again";

  private static final String LOST =
      "LOG: its volume is lost, and the log lies with the entries now. " + ADVICE;

  private final StoreBuilder options;
  private final StoreFiles files;
  private final LegDevices kind;
  private final VolumeNews news;
  private final DeviceHolder holder = this::notified;

  /** The devices that are there and are, or were, legs of the log of this store. */
  private final Map<Path, PmemDevice> own = new ConcurrentHashMap<>();

  /** Why a place cannot be used. */
  private final Map<Path, String> unusable = new ConcurrentHashMap<>();

  /** Places that held legs until making the log anew failed, with what they lay on. */
  private final Map<Path, String> emptied = new ConcurrentHashMap<>();

  /** Held by who makes the log anew, and by who closes it. */
  private final ReentrantLock making = new ReentrantLock();

  private final AtomicBoolean restoring = new AtomicBoolean();

  /** When who makes it anew began; 0 while nobody does. */
  private volatile long makingSince;

  /** Whether and when places were looked at; the health thread. */
  private boolean looked;

  private long lookedAt;

  /** When it was made anew last, by the clock of the store; under {@code making}. */
  private volatile long madeAt;

  /** When to try again to make it anew. */
  private final Returns returns;

  private volatile boolean closed;

  private boolean missing;
  private boolean lenient;
  private volatile @Nullable Volume volume;

  /** Why the log is not where it was asked for; null if it is. */
  private volatile @Nullable String problem;

  private volatile @Nullable Tree tree;
  private volatile @Nullable Volume entries;
  private volatile @Nullable PolicyCourt policy;
  private volatile Runnable wake = () -> {};
  private volatile @Nullable Heartbeats heartbeats;

  /** Whether the policy was asked what the loss of it means, and whether it was told. */
  private volatile boolean judged;

  private volatile boolean told;

  /** Whether it was seen not to be whole; the health thread. */
  private boolean noticed;

  StoreLog(StoreBuilder options, StoreFiles files, LegDevices kind, VolumeNews news) {
    this.options = options;
    this.files = files;
    this.kind = kind;
    this.news = news;
    this.returns = new Returns(1, options.clock);
  }

  /** What the legs of the log tell, for those who hear of the store as a whole. */
  private final class LogNews implements VolumeNews {
    @Override
    public void publish(
        HealthEvent.Kind what, int leg, long offset, long length, String detail, long nanoTime) {
      String of = leg < 0 ? "LOG: " : "LOG leg " + leg + ": ";
      news.publish(what, -1, 0, 0, of + detail, nanoTime);
      wake.run();
    }

    @Override
    public void report(int leg, FaultKind fault, long offset, long length) {
      wake.run();
    }
  }

  // ---------------------------------------------------------------- opening

  /**
   * Looks for the log that a store has, by what it says, before anything is written.
   *
   * @throws InvalidImageException if somebody else's device was named as a log
   */
  LogLookup.Outcome look(VolumeConfig config, boolean unclean) {
    VolumeConfig.LogLink link = config.log();
    undoMaking(link == null);
    List<PmemDevice> legs = new ArrayList<>();
    for (Path file : options.logFiles) {
      PmemDevice device = openOwn(file, config.storeId());
      Optional<VolumeConfig> says = device == null ? Optional.empty() : VolumeOpener.peek(device);
      if (device != null
          && link != null
          && says.isPresent()
          && says.get().storeId().equals(link.other())) {
        legs.add(device);
      }
    }
    if (link == null) {
      return new LogLookup.Outcome.Kept();
    }
    lenient = !unclean || options.openDegraded;
    String why = open(legs, config.storeId());
    if (why == null) {
      return new LogLookup.Outcome.Kept();
    }
    problem = why;
    if (lenient) {
      LOG.log(
          Level.WARNING,
          options.directory
              + ": "
              + why
              + (unclean
                  ? "; opened all the same, as was asked for: a batch that was under way when the"
                      + " store was left may show in part"
                  : "; it held nothing: the store was closed in order"));
      return new LogLookup.Outcome.Dropped();
    }
    missing = true;
    return new LogLookup.Outcome.Missing(
        why
            + ", and the store was not closed in order: a batch that was under way may be in it."
            + " Put its devices back and open the store with their files as log(…), or open with"
            + " openDegraded() and let such a batch go, which may show in part then");
  }

  /** Opens a device that is a leg of a log of this store, the one in force or a former one. */
  private @Nullable PmemDevice openOwn(Path file, UUID storeId) {
    PmemDevice device;
    try {
      device = kind.open(file);
    } catch (DeviceOfflineException e) {
      if (Files.exists(file) || StoreOpening.isRemoved(file)) {
        unusable.put(file, e.getMessage());
      }
      return null;
    } catch (InvalidImageException | DeviceIoException e) {
      unusable.put(file, e.getMessage() + "; remove the file, and a log is made there");
      return null;
    }
    Optional<VolumeConfig> says;
    try {
      says = VolumeOpener.peek(device);
    } catch (HoldfastException e) {
      device.close();
      throw e;
    }
    VolumeConfig.LogLink its = says.map(VolumeConfig::log).orElse(null);
    if (says.isPresent() && (its == null || !its.isLog() || !its.other().equals(storeId))) {
      device.close();
      throw new InvalidImageException(
          file
              + ": expected a leg of the LOG volume of store "
              + storeId
              + ", was "
              + (its != null && its.isLog()
                  ? "one of the LOG volume of store " + its.other()
                  : "a leg with the entries of store " + says.get().storeId()));
    }
    if (says.isEmpty()) {
      unusable.put(file, file + ": no superblock of it can be read; remove the file");
      device.close();
      return null;
    }
    own.put(file, device);
    return device;
  }

  /** Opens the volume; why it cannot be opened, null if it is. */
  private @Nullable String open(List<PmemDevice> legs, UUID storeId) {
    if (legs.isEmpty()) {
      return options.logFiles.isEmpty()
          ? "its LOG volume was not named: its files belong into log(…)"
          : "its LOG volume is not there: of " + options.logFiles + " none is a leg of it";
    }
    try {
      VolumeOpener.Opened opened =
          opener(storeId)
              .open(
                  legs,
                  (index, device) -> new AbsentDevice(device, "LOG leg " + index, kind.mode()),
                  (_, _) -> false,
                  options.openDegraded,
                  options.readOnly);
      adopt(opened.volume());
      return null;
    } catch (HoldfastException e) {
      return "its LOG volume cannot be opened: " + e.getMessage();
    }
  }

  private VolumeOpener opener(UUID storeId) {
    return new VolumeOpener(files.logWitness(), new LogNews(), SwitchObserver.NONE)
        .clock(options.wallClock)
        .logOf(storeId);
  }

  private void adopt(Volume opened) {
    opened.spareable();
    opened.silentFor(options.expelAfter);
    volume = opened;
  }

  /** Tells the tree where the log lies, before it is opened. */
  void tell(Tree of) {
    of.logAt(volume, missing, lenient);
  }

  /**
   * Makes the log where it is asked for and not as it should be; nothing is in it by now. What
   * fails is no reason not to open.
   */
  void begin(Tree of, Volume withEntries, PolicyCourt court, Runnable wakeUp) {
    tree = of;
    entries = withEntries;
    policy = court;
    wake = wakeUp;
    if (!withEntries.isReadOnly() && !isWhole()) {
      try {
        makeAnew(of, withEntries);
      } catch (HoldfastException e) {
        problem = "LOG: cannot be made: " + e.getMessage();
        LOG.log(Level.WARNING, options.directory + ": " + problem);
      }
    }
    Volume now = volume;
    if (now != null) {
      serve(now);
    }
    closeUnused(now);
  }

  private void serve(Volume now) {
    now.allLegs().forEach(leg -> leg.device().hold(holder));
    // What a dead file system takes is gone, and a crash would find a part of a batch.
    Heartbeats beats =
        new Heartbeats(
            now,
            new LogNews(),
            "holdfast-heartbeat-log-",
            options.heartbeat,
            options.expelAfter,
            options.clock);
    beats.start();
    heartbeats = beats;
  }

  private boolean isWhole() {
    Volume now = volume;
    if (now == null) {
      return options.logFiles.isEmpty();
    }
    return now.legs().readers() == options.logFiles.size()
        && now.allLegs().size() == options.logFiles.size()
        && now.allLegs().stream().allMatch(leg -> leg.state() == LegState.ONLINE);
  }

  private void makeAnew(Tree of, Volume withEntries) {
    if (!unusable.isEmpty()) {
      problem = "LOG: " + String.join("; ", unusable.values());
      LOG.log(Level.WARNING, options.directory + ": " + problem);
      return;
    }
    Volume former = volume;
    if (former != null) {
      if (!of.moveLogHome()) {
        return; // Not while the tree says that something is in it.
      }
      problem = "LOG: is being made anew, and lies with the entries until then. " + ADVICE;
      volume = null;
      former.stop();
      endHeartbeats(OpenStore.GRACE_NANOS);
      own.values().forEach(device -> device.release(holder));
      former.abandon(); // Nobody begins to use a window from here on.
      former.unmap(former.grace().await(OpenStore.GRACE_NANOS));
      goesOn();
    }
    requireNotClosed();
    own.values().forEach(PmemDevice::close);
    own.clear();
    if (options.logFiles.isEmpty()) {
      return;
    }
    note();
    VolumeOpener.Opened created;
    goesOn();
    try {
      options.logFiles.forEach(LegChanges::remove);
      created = opener(withEntries.config().storeId()).create(make());
    } catch (RuntimeException e) {
      own.values().forEach(PmemDevice::close);
      own.clear();
      for (Path file : options.logFiles) {
        LegChanges.remove(file);
        emptied.put(file, mountOf(file));
      }
      unnote();
      throw e;
    }
    goesOn();
    requireNotClosed();
    // From here on the configuration says whether they are the log, if this does not end.
    try {
      of.beginLogAt(created.volume(), created.volume().config().storeId());
    } catch (HoldfastException e) {
      created.volume().stop();
      created.volume().unmap(true);
      throw e;
    }
    adopt(created.volume());
    problem = null;
    emptied.clear();
    if (closed) {
      return; // Whoever closes it closes it with the log.
    }
    try {
      unnote();
    } catch (DeviceIoException e) {
      LOG.log(Level.WARNING, "the next open does it", e);
    }
  }

  /** What a directory lies on; where that changed, a mount is gone, or another one is there. */
  private static String mountOf(Path file) {
    try {
      return String.valueOf(Files.getAttribute(file.toAbsolutePath().getParent(), "unix:dev"));
    } catch (IOException | UnsupportedOperationException e) {
      return "unknown";
    }
  }

  private void goesOn() {
    if (makingSince != 0) {
      makingSince = System.nanoTime();
    }
  }

  private void requireNotClosed() {
    if (closed) {
      throw new StoreClosedException("the store is closed");
    }
  }

  private List<PmemDevice> make() {
    long capacity = CAPACITY;
    while (true) {
      try {
        for (Path file : options.logFiles) {
          own.put(file, kind.create(file, capacity));
        }
        return options.logFiles.stream().map(own::get).toList();
      } catch (HoldfastException e) {
        own.values().forEach(PmemDevice::close);
        own.clear();
        if (!(e instanceof OutOfSpaceException) || capacity / 2 < StoreBuilder.MIN_CAPACITY) {
          throw e;
        }
        options.logFiles.forEach(LegChanges::remove);
        capacity = VolumeLayout.wholePages(capacity / 2);
      }
    }
  }

  /** Notes which files are being made: what is half made is nobody's. */
  private void note() {
    StringBuilder text = new StringBuilder();
    for (Path file : options.logFiles) {
      text.append(file.toAbsolutePath()).append('\n');
    }
    try {
      DurableFile.write(files.logMaking(), text.toString().getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new DeviceIoException(files.logMaking() + ": cannot be written: " + e, e);
    }
  }

  private void unnote() {
    try {
      Files.deleteIfExists(files.logMaking());
      DurableFile.syncDirectory(files.logMaking());
    } catch (IOException e) {
      throw new DeviceIoException(files.logMaking() + ": cannot be removed: " + e, e);
    }
  }

  /**
   * Removes what was being made when the process died.
   *
   * @param removes whether no configuration knows it
   */
  private void undoMaking(boolean removes) {
    Path note = files.logMaking();
    if (options.readOnly || !Files.isRegularFile(note)) {
      return;
    }
    try {
      if (removes) {
        Files.readAllLines(note, StandardCharsets.UTF_8)
            .forEach(file -> LegChanges.remove(Path.of(file)));
      }
    } catch (IOException e) {
      throw new DeviceIoException(note + ": cannot be read: " + e, e);
    }
    unnote();
  }

  /** Refuses places where something is, for a store that is made anew: it has no log yet. */
  void requireFree() {
    for (Path file : options.logFiles) {
      if (Files.exists(file)) {
        throw new InvalidImageException(
            file + ": expected a free place for the log of a new store, was a file");
      }
    }
  }

  private void closeUnused(@Nullable Volume used) {
    own.values()
        .removeIf(device -> {
          boolean isLeg =
              used != null && used.allLegs().stream().anyMatch(leg -> leg.device().equals(device));
          if (!isLeg) {
            device.close();
          }
          return !isLeg;
        });
  }

  // ---------------------------------------------------------------- faults

  /**
   * What a device of it tells.
   *
   * @throws RemovalRefusedException if the device asks whether it may go, and is needed
   */
  private void notified(PmemDevice device, Fault fault) {
    Volume now = volume;
    if (now == null) {
      return;
    }
    now.notified(device, fault.kind(), fault.offset(), fault.length());
    if (fault.kind() == FaultKind.PRE_REMOVE) {
      for (Leg leg : now.allLegs()) {
        if (leg.device().equals(device) && now.isUsed(leg)) {
          letGo(now, leg);
        }
      }
    }
    wake.run();
  }

  private void letGo(Volume now, Leg leg) {
    boolean kept = verdict(now, leg.index(), FaultKind.PRE_REMOVE) instanceof Verdict.RefuseRemoval;
    if (!kept && now.leave(leg.index(), "its device is about to be removed")) {
      boolean _ = now.grace().await(OpenStore.GRACE_NANOS);
      return;
    }
    if (kept || !movesHome(now)) {
      throw new RemovalRefusedException(
          "LOG leg "
              + leg.index()
              + " ("
              + leg.device().name()
              + "): expected a log without a batch that the policy lets go of, was another: ask"
              + " again",
          null);
    }
    problem = "LOG: its last leg was let go of, as its device is about to be removed. " + ADVICE;
  }

  /** Has batches do without this log; not one that was made meanwhile. */
  private boolean movesHome(Volume now) {
    Tree of = tree;
    if (of == null || !making.tryLock()) {
      return false;
    }
    try {
      return now.equals(volume) && of.moveLogHome();
    } finally {
      making.unlock();
    }
  }

  /** Lets go of a log that is lost, and has one made whose devices are back. */
  @Override
  public void looked() {
    Volume with = entries;
    Tree of = tree;
    if (with == null || of == null || with.isStopping()) {
      return;
    }
    Volume now = volume;
    if (now != null) {
      lookAfter(now, of, with);
    }
    noticeLoss();
    if (mayRestore(with) && isWorthALook() && restoring.compareAndSet(false, true)) {
      Thread _ =
          Thread.ofPlatform().daemon().name("holdfast-log-return").start(() -> restore(of, with));
    }
  }

  private void lookAfter(Volume now, Tree of, Volume with) {
    now.lookAround();
    if (now.takesStores()) {
      unlessMade(() -> scrubOf(now, of).mend());
      return;
    }
    unlessMade(() -> {
      if (now.equals(volume)) { // And not one that was made meanwhile.
        letGoOf(now, of, with);
      }
    });
  }

  private void letGoOf(Volume now, Tree of, Volume with) {
    if (!judged) {
      judged = true;
      int leg = now.allLegs().getLast().index();
      HoldfastException cause = new DeviceOfflineException("the LOG volume is lost");
      switch (verdict(now, leg, FaultKind.REMOVED)) {
        case Verdict.ReadOnly() -> with.stopWrites(cause);
        case Verdict.Fail() -> with.fail(cause);
        default -> {} // Batches go on, whatever else is said: they have a home.
      }
    }
    if (!told && !with.isReadOnly() && of.moveLogHome()) {
      told = true;
      news.publish(
          HealthEvent.Kind.STATE_CHANGED, -1, 0, 0, "DEGRADED: " + LOST, System.nanoTime());
    }
  }

  // ---------------------------------------------------------------- return

  /** A leg whose device is there was given up: it is not asked again at once. */
  private void noticeLoss() {
    boolean lost = lacks();
    if (lost && !noticed) {
      if (options.clock.getAsLong() - madeAt > STEADY_NANOS) {
        returns.succeeded(0);
      }
      if (legsAway().anyMatch(leg -> leg.device().state() == DeviceState.LIVE)) {
        returns.failed(0);
      }
    }
    noticed = lost;
  }

  /** Whether a leg that was asked for is not there, or none is. */
  private boolean lacks() {
    Volume now = volume;
    return now == null
        ? !options.logFiles.isEmpty()
        : now.allLegs().size() != options.logFiles.size() || legsAway().findAny().isPresent();
  }

  private Stream<Leg> legsAway() {
    Volume now = volume;
    return now == null
        ? Stream.empty()
        : now.allLegs().stream()
            .filter(leg -> leg.state() == LegState.REMOVED || leg.state() == LegState.OFFLINE);
  }

  /**
   * A store that only reads may miss what is in a log that is away; and a medium that refused to
   * write is not trusted before the next open.
   */
  private boolean mayRestore(Volume with) {
    Volume now = volume;
    return !closed
        && lacks()
        && !with.isReadOnly()
        && (now == null || now.allLegs().stream().noneMatch(leg -> leg.state() == LegState.FAULTED))
        && returns.isDue(0);
  }

  /** Of devices that are open it is known whether they are there; places are looked at. */
  private boolean isWorthALook() {
    Volume now = volume;
    if (now != null && now.allLegs().size() == options.logFiles.size()) {
      return legsAway().allMatch(leg -> leg.device().state() == DeviceState.LIVE);
    }
    long at = options.clock.getAsLong();
    boolean isDue = !looked || at - lookedAt >= LOOK_NANOS;
    if (isDue) {
      looked = true;
      lookedAt = at;
    }
    return isDue;
  }

  private void restore(Tree of, Volume with) {
    making.lock();
    makingSince = System.nanoTime();
    try {
      if (mayRestore(with) && areBack(with.config().storeId())) {
        returns.failed(0); // A medium that comes and goes is asked ever less often.
        if (isWanted()) {
          goesOn();
          restoreNow(of, with);
        }
      }
    } catch (StoreClosedException e) {
      LOG.log(Level.DEBUG, "the store was closed while its log was made anew", e);
    } catch (RuntimeException e) {
      returns.failed(0);
      problem = "LOG: cannot be made: " + e.getMessage() + ". " + ADVICE;
      LOG.log(Level.WARNING, options.directory + ": " + problem, e);
    } finally {
      makingSince = 0;
      making.unlock();
      restoring.set(false);
    }
  }

  private void restoreNow(Tree of, Volume with) {
    Volume former = volume;
    makeAnew(of, with);
    Volume now = volume;
    if (now == null || now.equals(former)) {
      return; // A batch is in it; later.
    }
    madeAt = options.clock.getAsLong();
    judged = false;
    told = false;
    serve(now);
    news.publish(
        HealthEvent.Kind.STATE_CHANGED,
        -1,
        0,
        0,
        "LOG: its devices are back, and it is made there anew",
        System.nanoTime());
  }

  /**
   * Whether the devices of all legs are there: those that are open, in the places where they were
   * opened, and what lies in the other places.
   */
  private boolean areBack(UUID storeId) {
    unusable.clear();
    boolean all = true;
    for (Path file : options.logFiles) {
      PmemDevice device = own.get(file);
      boolean isFree = mountOf(file).equals(emptied.get(file)) && !Files.exists(file);
      all &=
          device == null
              ? isFree || openOwn(file, storeId) != null
              : device.state() == DeviceState.LIVE;
    }
    if (!unusable.isEmpty()) {
      problem = "LOG: " + String.join("; ", unusable.values()) + ". " + ADVICE;
    }
    if (!all) {
      closeUnused(volume);
      return false;
    }
    own.values().forEach(this::requireInItsPlace);
    return true;
  }

  /** What is about to be removed by its name must be what was opened by it. */
  private void requireInItsPlace(PmemDevice device) {
    try {
      device.heartbeat();
    } catch (HoldfastException e) {
      device.abandon(); // Of a leg it is looked for by who beats its heart.
      closeUnused(volume);
      throw e;
    }
  }

  private boolean isWanted() {
    Volume now = volume;
    Verdict verdict =
        now == null
            ? verdict(
                options.logFiles.size() == 1 ? new Topology.Single() : new Topology.Mirror(0),
                FaultKind.RETURNED)
            : verdict(now, legsAway().findFirst().map(Leg::index).orElse(0), FaultKind.RETURNED);
    return verdict instanceof Verdict.Resilver || verdict instanceof Verdict.Reconcile;
  }

  /** Reads it, and mends what is bad. */
  void scrub() {
    Tree of = tree;
    unlessMade(() -> {
      Volume now = volume;
      if (now != null && of != null && now.takesStores()) {
        scrubOf(now, of).scrub();
      }
    });
  }

  /** What uses its windows beside batches must not meet their end. */
  private void unlessMade(Runnable body) {
    if (making.tryLock()) {
      try {
        body.run();
      } finally {
        making.unlock();
      }
    }
  }

  private LogScrub scrubOf(Volume now, Tree of) {
    return new LogScrub(now, of::whileNoBatch, new LogNews());
  }

  private Verdict verdict(Volume now, int leg, FaultKind kindOfFault) {
    int others = now.legs().readers();
    for (int reader = 0; reader < now.legs().readers(); reader++) {
      others -= now.legs().legOf(reader) == leg ? 1 : 0;
    }
    Topology topology = now.countLegs() == 1 ? new Topology.Single() : new Topology.Mirror(others);
    return verdict(topology, kindOfFault);
  }

  private Verdict verdict(Topology topology, FaultKind kindOfFault) {
    PolicyCourt court = policy;
    Subject subject = new Subject(Role.LOG, Subject.Content.VALUE);
    return court == null
        ? new Verdict.RehomeLog()
        : court.decide(-1, topology, subject, kindOfFault);
  }

  // ---------------------------------------------------------------- how it is

  /** Why the log is not as it was asked for; null if it is, or none was asked for. */
  @Nullable String problem() {
    String known = problem;
    Volume now = volume;
    if (known != null || now == null) {
      return known;
    }
    if (!now.takesStores() && !options.readOnly) {
      return LOST;
    }
    for (Leg leg : now.allLegs()) {
      if (leg.state() != LegState.ONLINE) {
        return "LOG leg " + leg.index() + " is " + leg.state() + ". " + ADVICE;
      }
    }
    return null;
  }

  /** How it is, for users; null if there is none. */
  StoreHealth.@Nullable Log health() {
    Volume now = volume;
    Volume with = entries;
    if (now == null || with == null) {
      return options.logFiles.isEmpty() ? null : new StoreHealth.Log(false, List.of());
    }
    List<StoreHealth.Leg> legs = new ArrayList<>();
    for (Leg leg : now.allLegs()) {
      List<BadRange> bad = new ArrayList<>();
      for (LegRange range : now.badRanges()) {
        if (range.leg() == leg.index()) {
          bad.add(new BadRange(range.offset(), range.length()));
        }
      }
      legs.add(
          new StoreHealth.Leg(
              leg.index(), leg.device().id(), leg.device().name(), leg.state(), bad));
    }
    return new StoreHealth.Log(with.config().log() != null, legs);
  }

  /** The devices, for tests. */
  List<PmemDevice> devices() {
    Volume now = volume;
    return now == null ? List.of() : now.allLegs().stream().map(Leg::device).toList();
  }

  // ---------------------------------------------------------------- closing

  /** Whether what began then is not worth waiting for: a medium of it hangs. */
  boolean isHopeless(long began) {
    Volume now = volume;
    long since = makingSince;
    long at = System.nanoTime();
    boolean makes =
        since != 0 && at - since >= AdminCalls.SILENT_NANOS && at - began >= AdminCalls.LEAST_NANOS;
    return makes || (now != null && AdminCalls.isHopeless(now, began));
  }

  /**
   * Closes it in order; waits for who makes it anew, as he removes and makes files.
   *
   * @param quiet whether no operation is under way
   */
  void close(boolean quiet, long sequence, long nanos) {
    closed = true;
    making.lock();
    try {
      Volume now = volume;
      if (now != null) {
        now.stop();
        endHeartbeats(nanos);
        devices().forEach(device -> device.release(holder));
        boolean left = quiet && now.grace().await(nanos);
        if (left && now.takesStores()) {
          now.closeInOrder(new VolumeConfig.Summary(0, 0), sequence, nanos);
        }
        now.unmap(left);
      }
      closeDevices();
    } finally {
      making.unlock();
    }
  }

  /** Has nobody use it any more, for a close by force, or an open that failed. */
  void abandon() {
    closed = true;
    Volume now = volume;
    if (now != null) {
      now.stop();
      endHeartbeats(0);
      now.abandon();
    }
  }

  /** Behind {@link #abandon}: closes what who makes it anew may have made, once he has ended. */
  void closeMade() {
    making.lock();
    try {
      abandon();
      closeDevices();
    } finally {
      making.unlock();
    }
  }

  private void endHeartbeats(long nanos) {
    Heartbeats beats = heartbeats;
    if (beats != null) {
      beats.stop(nanos);
    }
  }

  void closeDevices() {
    devices().forEach(PmemDevice::close);
    own.values().forEach(PmemDevice::close);
  }
}
