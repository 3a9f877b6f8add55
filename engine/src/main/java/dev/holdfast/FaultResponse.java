package dev.holdfast;

import dev.holdfast.error.ClearFailedException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.LastCopyException;
import dev.holdfast.error.PoisonedRangeException;
import dev.holdfast.error.RemovalRefusedException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.pipeline.Responder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.Fault;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.policy.Role;
import dev.holdfast.policy.Subject;
import dev.holdfast.policy.Topology;
import dev.holdfast.policy.Verdict;
import dev.holdfast.rmap.OwnedExtent;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.LegRange;
import dev.holdfast.volume.TimedLock;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import dev.holdfast.volume.VolumeNews;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What follows from a fault, once nothing is acknowledged wrongly any more: asks the reverse map
 * what was hit, the policy what it means, and does that.
 *
 * <p><b>Threads:</b> {@link #notified} any thread of a device; the rest the health thread, and
 * those of users who bring a leg back. Whatever touches windows outside of an operation holds
 * {@code repairing}, so that a close knows when it is over.
 */
final class FaultResponse implements Responder {
  private static final System.Logger LOG = System.getLogger(FaultResponse.class.getName());

  /**
   * With more than so many places bad at once a leg costs every operation more than it is worth.
   * Source: a member of a Linux md array is failed when its list of bad blocks is full, at 512.
   */
  private static final int MOST_BAD_RANGES = 512;

  /** How long it is known of a range that was cleared that it was bad. */
  private static final Duration KEEP_CLEARED = Duration.ofDays(90);

  /** How long somebody waits who asks for a range to be cleared, and then for one page. */
  private static final long CLEAR_NANOS = 10_000_000_000L;

  /** How long somebody waits for repairs who asks for writes to be taken up again. */
  private static final long RESUME_NANOS = 300_000_000L;

  /** How long a copy that rests does not look whether the store is being closed. */
  private static final long MOST_REST_NANOS = 10_000_000L;

  /** How long operations may take to leave a device that is about to be removed. */
  private static final long EVACUATION_NANOS = 1_000_000_000L;

  private final Volume volume;
  private final Tree tree;
  private final ReverseMap reverseMap;
  private final PolicyCourt policy;
  private final Role role;
  private final VolumeNews news;

  /** Fair: a copy lets go of it now and then, for those who wait. */
  private final ReentrantLock repairing = new ReentrantLock(true);

  private final ExecutorService copier =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("holdfast-resilver").factory());

  /** The legs that wait for the copier, or are with it. */
  private final Set<Integer> toBringBack = ConcurrentHashMap.newKeySet();

  private final long resilverRate;
  private volatile LegWatch watch = LegWatch.NONE;
  private volatile LogWatch log = () -> {};
  private final SoftErrors softErrors;
  private final Returns returns;
  private final OrderlyRemovals removals;

  FaultResponse(
      Volume volume,
      Tree tree,
      ReverseMap reverseMap,
      PolicyCourt policy,
      Role role,
      VolumeNews news,
      LongSupplier clock,
      long resilverRate) {
    this.volume = volume;
    this.resilverRate = resilverRate;
    this.tree = tree;
    this.reverseMap = reverseMap;
    this.policy = policy;
    this.role = role;
    this.news = news;
    this.softErrors = new SoftErrors(VolumeLayout.MAX_LEGS, clock);
    this.returns = new Returns(VolumeLayout.MAX_LEGS, clock);
    this.removals =
        new OrderlyRemovals(
            volume,
            role == Role.CACHE,
            leg -> decide(leg, topology(leg), Subject.Content.VALUE, FaultKind.PRE_REMOVE),
            news);
  }

  /**
   * What a device tells: what may not wait is done here, the rest when the news arrive.
   *
   * @throws RemovalRefusedException if the device asks whether it may go, and is needed
   */
  void notified(PmemDevice device, Fault fault) {
    volume.notified(device, fault.kind(), fault.offset(), fault.length());
    // The device waits for this call: what still uses it ends before it is pulled out.
    RemovalRefusedException refused =
        fault.kind() == FaultKind.PRE_REMOVE ? removals.ask(device) : null;
    for (Leg leg : volume.allLegs()) {
      if (leg.device().equals(device)) {
        news.report(leg.index(), fault.kind(), fault.offset(), fault.length());
      }
    }
    if (refused != null) {
      throw refused;
    }
  }

  /** The first use of flight recording in a JVM loads much; not while a leg is being lost. */
  @Override
  public void prepare() {
    volume.prepareNotices();
    tree.prepareNotices();
    ScrubNotice.prepare();
    CompactionNotice.prepare();
  }

  @Override
  public void respond(int leg, FaultKind kind, long offset, long length) {
    if (leg < 0 || leg >= volume.allLegs().size()) {
      return;
    }
    repairing.lock();
    try {
      switch (kind) {
        case POISON -> {
          boolean fresh = volume.badRanges().stream().anyMatch(range -> range.leg() == leg);
          poisoned();
          if (fresh) {
            softErrors.count(leg);
          }
        }
        case CHECKSUM -> wrongBytes(leg, offset, length);
        case RETURNED -> returned(leg);
        case REMOVED -> removed(leg);
        case PRE_REMOVE -> beforeRemoval(leg);
        case SLOW -> {
          Verdict verdict = decide(leg, topology(leg), Subject.Content.VALUE, kind);
          if (verdict instanceof Verdict.Watch) {
            softErrors.count(leg);
          } else if (verdict instanceof Verdict.FailOver
              || verdict instanceof Verdict.Evacuate
              || verdict instanceof Verdict.Detach) {
            volume.giveUp(leg, "given up by the policy: its medium is slow");
          }
        }
        case CLEARED -> {
          Verdict _ = decide(leg, topology(leg), Subject.Content.VALUE, kind);
        }
      }
      giveUpBadLegs();
    } finally {
      repairing.unlock();
    }
  }

  @Override
  public void rescan() {
    repairing.lock();
    try {
      if (volume.isStopping()) {
        return;
      }
      volume.lookAround();
      if (!volume.badRanges().isEmpty()) {
        poisoned();
      }
      for (Leg leg : volume.allLegs()) {
        boolean away = leg.state() == LegState.REMOVED || leg.state() == LegState.OFFLINE;
        if (away
            && !leg.isHeld()
            && leg.device().state() == DeviceState.LIVE
            && returns.isDue(leg.index())
            && watch.isWanted(leg.index())) {
          returned(leg.index());
        }
      }
      giveUpBadLegs();
      watch.looked();
      log.looked();
      volume.ageRanges(KEEP_CLEARED.toMillis());
      tree.releaseQuarantine();
      volume.retireWindows(OpenStore.GRACE_NANOS);
      if (tree.isBuilt()) {
        // Not before what may differ between the legs is reconciled everywhere.
        volume.settle(OpenStore.GRACE_NANOS);
      }
    } finally {
      repairing.unlock();
    }
  }

  /**
   * Stops using legs that make too many errors, where another leg holds everything. The last good
   * copy is never given up for errors that are survived.
   */
  private void giveUpBadLegs() {
    if (volume.legs().readers() < 2) {
      return; // Asked for every part of a bad range: nothing to count where there is no other leg.
    }
    for (Leg leg : volume.allLegs()) {
      if (softErrors.areTooMany(leg.index()) && isUsed(leg.index())) {
        volume.giveUp(leg.index(), "too many errors: " + SoftErrors.LIMIT);
      }
      if (volume.countBadRanges(leg.index()) > MOST_BAD_RANGES && isUsed(leg.index())) {
        volume.giveUp(leg.index(), "too many bad ranges at once: over " + MOST_BAD_RANGES);
      }
    }
  }

  // ---------------------------------------------------------------- verdicts

  private Topology topology(int leg) {
    int others = 0;
    for (int reader = 0; reader < volume.legs().readers(); reader++) {
      others += volume.legs().legOf(reader) == leg ? 0 : 1;
    }
    return volume.countLegs() == 1 ? new Topology.Single() : new Topology.Mirror(others);
  }

  private Verdict decide(int leg, Topology topology, Subject.Content content, FaultKind kind) {
    return policy.decide(leg, topology, new Subject(role, content), kind);
  }

  // ---------------------------------------------------------------- what is done

  private void poisoned() {
    List<LegRange> metadata = new ArrayList<>();
    List<LegRange> data = new ArrayList<>();
    for (LegRange range : volume.badRanges()) {
      (tree.isMetadata(range.offset(), range.length()) ? metadata : data).add(range);
    }
    List<LegRange> known = new ArrayList<>();
    HoldfastException stop = respondTo(metadata, Subject.Content.METADATA, known);
    HoldfastException stopForData = respondTo(data, Subject.Content.VALUE, known);
    stop = stop == null ? stopForData : stop;
    tree.releaseQuarantine();
    volume.acknowledge(known);
    if (stop != null) {
      // All impact was collected above; writes stop once.
      volume.stopWrites(stop);
    }
  }

  /**
   * Returns why writes have to stop, if they have.
   *
   * @param known gets the parts of which it is known what it means that they are bad
   */
  private @Nullable HoldfastException respondTo(
      List<LegRange> ranges, Subject.Content content, List<LegRange> known) {
    HoldfastException stop = null;
    for (LegRange range : ranges) {
      for (LegRange part : volume.byCopy(range)) {
        if (volume.isStopping()) {
          return stop;
        }
        giveUpBadLegs();
        HoldfastException cause =
            act(known, decide(range.leg(), topologyOf(part), content, FaultKind.POISON), part);
        stop = stop == null ? cause : stop;
      }
    }
    return stop;
  }

  private Topology topologyOf(LegRange range) {
    boolean hasCopy = volume.hasOtherCopy(range);
    // What lies on a single leg twice is mirrored, too.
    return volume.countLegs() == 1 && !hasCopy
        ? new Topology.Single()
        : new Topology.Mirror(hasCopy ? 1 : 0);
  }

  private HoldfastException poisonOf(LegRange range) {
    return new PoisonedRangeException(
        "leg "
            + range.leg()
            + " ("
            + volume.allLegs().get(range.leg()).device().name()
            + "): poisoned inside ["
            + range.offset()
            + ", +"
            + range.length()
            + "), and no other copy is left");
  }

  /** Does what a verdict on a poisoned range says; the cause if writes have to stop. */
  private @Nullable HoldfastException act(List<LegRange> known, Verdict verdict, LegRange range) {
    if (!(verdict instanceof Verdict.NameLost) && !(verdict instanceof Verdict.ReadOnly)) {
      known.add(range);
    }
    switch (verdict) {
      case Verdict.Repair() -> repair(range, false);
      case Verdict.NameLost() -> {
        if (nameLost(range)) {
          known.add(range);
          repair(range, true);
        }
      }
      case Verdict.ReadOnly() -> {
        boolean _ = nameLost(range);
        return poisonOf(range);
      }
      case Verdict.Fail() -> volume.fail(poisonOf(range));
      case Verdict.Detach() when role == Role.CACHE -> {
        // The copies there are none any more: what is asked for is not found, and copied again.
        if (nameLost(range)) {
          repair(range, true);
        }
      }
      case Verdict.FailOver(), Verdict.Evacuate(), Verdict.Detach() ->
          volume.giveUp(range.leg(), "given up by the policy after poison");
      case Verdict.GoOffline(),
          Verdict.RefuseRemoval(),
          Verdict.RehomeLog(),
          Verdict.Resilver(),
          Verdict.Reconcile(),
          Verdict.Watch(),
          Verdict.Ignore() -> {}
    }
    return null;
  }

  private void repair(LegRange range, boolean zero) {
    if (volume.isReadOnly()) {
      return;
    }
    if (volume.repair(range, zero, OpenStore.GRACE_NANOS)) {
      tellRepaired(range, zero ? "cleared; what it held is lost" : "rewritten from another leg");
    }
  }

  private void tellRepaired(LegRange range, String how) {
    news.publish(
        HealthEvent.Kind.RANGE_REPAIRED,
        range.leg(),
        range.offset(),
        range.length(),
        how,
        System.nanoTime());
  }

  /**
   * Clears what is bad in a range of a leg, because somebody asked for it.
   *
   * @param acceptsLoss whether what no leg holds any more may be given up
   * @throws ClearFailedException if any part of it is bad still
   */
  void clear(LegRange range, boolean acceptsLoss) {
    long deadline = System.nanoTime() + CLEAR_NANOS;
    if (!TimedLock.tryUntil(repairing, deadline)) {
      throw RangeClearing.failed(
          volume, range, "repairs that are under way did not end in time: ask again", null);
    }
    try {
      if (volume.isStopping()) {
        throw new StoreClosedException("the store is closed");
      }
      new RangeClearing(
              volume,
              tree,
              reverseMap,
              this::nameLost,
              part -> tellRepaired(part, "cleared because somebody asked for it"))
          .clear(range, acceptsLoss, deadline);
    } finally {
      tree.releaseQuarantine();
      repairing.unlock();
    }
  }

  /**
   * Takes writes up again that were stopped.
   *
   * @throws HoldfastException if that is not possible, or repairs under way do not end in time
   */
  void resume() {
    if (!TimedLock.tryUntil(repairing, System.nanoTime() + RESUME_NANOS)) {
      throw new DeviceOfflineException("repairs that are under way did not end in time: ask again");
    }
    try {
      if (volume.isStopping()) {
        throw new StoreClosedException("the store is closed");
      }
      new WriteResumption(volume, tree).resume();
    } finally {
      repairing.unlock();
    }
  }

  /** Names what is lost in a range; false if that cannot be done now: it must not be cleared. */
  private boolean nameLost(LegRange range) {
    boolean named = true;
    List<OwnedExtent> owners = new ArrayList<>();
    reverseMap.owners(range.offset(), range.length(), owners::add);
    reverseMap.invalidate(range.offset(), range.length());
    for (OwnedExtent owner : owners) {
      try {
        if (tree.nameIfLost(owner)) {
          tellLost(range, owner);
        }
      } catch (HoldfastException e) {
        named = false;
        LOG.log(Level.WARNING, "what was lost cannot be named now: " + e.getMessage());
      }
    }
    return named;
  }

  private void tellLost(LegRange range, OwnedExtent owner) {
    news.publish(
        HealthEvent.Kind.DATA_LOST,
        range.leg(),
        owner.offset(),
        owner.length(),
        "a record has no copy left",
        System.nanoTime());
  }

  private void wrongBytes(int leg, long offset, long length) {
    List<OwnedExtent> owners = new ArrayList<>();
    reverseMap.owners(offset, length, owners::add);
    Verdict verdict = decide(leg, topology(leg), Subject.Content.VALUE, FaultKind.CHECKSUM);
    for (OwnedExtent owner : owners) {
      try {
        if (verdict instanceof Verdict.Repair && tree.repair(owner, leg)) {
          // Counted only now: what a reader saw may have been a write under way.
          softErrors.count(leg);
          news.publish(
              HealthEvent.Kind.RANGE_REPAIRED,
              leg,
              owner.offset(),
              owner.length(),
              "wrong bytes were rewritten from another leg",
              System.nanoTime());
        }
      } catch (HoldfastException e) {
        LOG.log(Level.WARNING, "leg " + leg + ": cannot be repaired now: " + e.getMessage());
      }
    }
  }

  // ---------------------------------------------------------------- what a scrub finds

  /**
   * Has metadata repaired that is wrong in a range of a leg, or does what the policy says where no
   * copy is right.
   *
   * @param hasCopy whether another copy is right, of any leg
   * @param repair makes it right; whether it did
   */
  void wrongMetadata(int leg, long offset, long length, boolean hasCopy, BooleanSupplier repair) {
    repairing.lock();
    try {
      Topology copies = hasCopy ? new Topology.Mirror(1) : withoutCopy();
      HoldfastException cause =
          new InvalidImageException(
              "leg "
                  + leg
                  + ": metadata inside ["
                  + offset
                  + ", +"
                  + length
                  + "): expected one copy to validate, did none");
      switch (decide(leg, copies, Subject.Content.METADATA, FaultKind.CHECKSUM)) {
        case Verdict.Repair() -> {
          if (!volume.isReadOnly() && !volume.isStopping() && repair.getAsBoolean()) {
            softErrors.count(leg);
            news.publish(
                HealthEvent.Kind.RANGE_REPAIRED,
                leg,
                offset,
                length,
                "wrong metadata was rewritten from another copy",
                System.nanoTime());
          }
        }
        case Verdict.ReadOnly() -> volume.stopWrites(cause);
        case Verdict.Fail() -> volume.fail(cause);
        default -> {}
      }
      giveUpBadLegs();
    } catch (HoldfastException e) {
      LOG.log(Level.WARNING, "leg " + leg + ": cannot be repaired now: " + e.getMessage());
    } finally {
      repairing.unlock();
    }
  }

  /** Names what is lost where no leg is right, or does what the policy says else. */
  void wrongEverywhere(int leg, long offset, long length) {
    repairing.lock();
    try {
      LegRange range = new LegRange(leg, offset, length);
      Verdict verdict = decide(leg, withoutCopy(), Subject.Content.VALUE, FaultKind.CHECKSUM);
      boolean isStopped = verdict instanceof Verdict.ReadOnly || verdict instanceof Verdict.Fail;
      boolean isCopy = role == Role.CACHE && verdict instanceof Verdict.Detach;
      if (verdict instanceof Verdict.NameLost || isStopped || isCopy) {
        boolean _ = nameLost(range);
      }
      HoldfastException cause =
          new InvalidImageException(
              range + ": expected one leg to validate, did none, and the policy gives up");
      if (verdict instanceof Verdict.ReadOnly) {
        volume.stopWrites(cause);
      } else if (verdict instanceof Verdict.Fail) {
        volume.fail(cause);
      }
    } finally {
      repairing.unlock();
    }
  }

  private Topology withoutCopy() {
    return volume.countLegs() == 1 ? new Topology.Single() : new Topology.Mirror(0);
  }

  private void removed(int leg) {
    Verdict verdict = decide(leg, topology(leg), Subject.Content.VALUE, FaultKind.REMOVED);
    if (volume.legs().readers() == 0) {
      reverseMap.invalidate(0, volume.capacity());
    }
    volume.retireWindows(OpenStore.GRACE_NANOS);
    if (verdict instanceof Verdict.ReadOnly) {
      volume.stopWrites(
          new DeviceOfflineException("leg " + leg + " was removed, and the policy stops writes"));
    } else if (verdict instanceof Verdict.Fail) {
      volume.fail(
          new DeviceOfflineException("leg " + leg + " was removed, and the policy gives up"));
    }
  }

  /** Its device may be pulled out all the same, though that was refused. */
  private void beforeRemoval(int leg) {
    if (isUsed(leg)) {
      try {
        tree.sync(volume.persistenceMode());
      } catch (HoldfastException e) {
        LOG.log(
            Level.WARNING, "leg " + leg + ": not flushed before its removal: " + e.getMessage());
      }
    }
  }

  private void returned(int leg) {
    if (volume.allLegs().get(leg).isHeld()) {
      return;
    }
    Verdict verdict = decide(leg, topology(leg), Subject.Content.VALUE, FaultKind.RETURNED);
    if (verdict instanceof Verdict.Resilver || verdict instanceof Verdict.Reconcile) {
      bringBack(leg);
    }
  }

  /**
   * Takes a leg out of use until somebody asks for it. Operations go on; when this returns, none
   * touches its device any more, and what was acknowledged is on it as far as it was durable.
   *
   * @throws LastCopyException if no other leg holds everything
   */
  void takeOut(int index) {
    repairing.lock();
    try {
      if (volume.isStopping()) {
        throw new StoreClosedException("the store is closed");
      }
      Leg leg = volume.allLegs().get(index);
      leg.hold(true); // Before it is out: a rescan would bring it back at once.
      if (!volume.leave(index, "it was taken out of use")) {
        leg.hold(false);
        throw new LastCopyException(
            "leg "
                + index
                + " ("
                + leg.device().name()
                + "): expected another leg that holds everything, is the last copy of something");
      }
      if (!volume.grace().await(EVACUATION_NANOS)) {
        LOG.log(Level.WARNING, "leg " + index + ": operations that began before still use it");
      }
      volume.retireWindows(OpenStore.GRACE_NANOS);
    } finally {
      repairing.unlock();
    }
  }

  /** Has the thread that copies to legs do something; false if the store is closed. */
  boolean later(Runnable work) {
    try {
      copier.execute(work);
      return true;
    } catch (RejectedExecutionException e) {
      return false;
    }
  }

  /** Whether the policy has a spare taken for a leg that is away. */
  boolean takesSpareFor(int leg) {
    return decide(leg, topology(leg), Subject.Content.VALUE, FaultKind.REMOVED)
        instanceof Verdict.FailOver;
  }

  /** Has somebody look after legs that come and go. */
  void watch(LegWatch by) {
    watch = by;
  }

  /** Has somebody look after the log. */
  void watch(LogWatch by) {
    log = by;
  }

  /** Who looks after the log. */
  @FunctionalInterface
  interface LogWatch {
    /** Is told after each rescan. */
    void looked();
  }

  /** Who looks after legs that come and go. */
  interface LegWatch {
    /** Nobody. */
    LegWatch NONE =
        new LegWatch() {
          @Override
          public void looked() {}

          @Override
          public void requireWanted(int leg) {}
        };

    /** Is told after each rescan; must not wait for anything. */
    void looked();

    /**
     * Called between two regions of a copy.
     *
     * @throws HoldfastException if the leg that is copied to is not needed any more
     */
    void requireWanted(int leg);

    /** Whether a leg whose device is there is still to be copied to. */
    default boolean isWanted(int leg) {
      try {
        requireWanted(leg);
        return true;
      } catch (HoldfastException e) {
        return false;
      }
    }
  }

  /** Forgets the errors of a leg whose place another one takes. */
  void forgetErrors(int leg) {
    softErrors.forget(leg);
    returns.succeeded(leg);
  }

  /** Has a leg brought back, if that is possible, by a thread of its own. */
  void bringBack(int leg) {
    if (!toBringBack.add(leg)) {
      return;
    }
    try {
      copier.execute(() -> {
        try {
          bringBackNow(leg);
          returns.succeeded(leg);
        } catch (RuntimeException e) { // Whatever it is, it is no reason to try again at once.
          returns.failed(leg);
          if (!volume.isStopping()) {
            LOG.log(Level.WARNING, "leg " + leg + " is not brought back: " + e.getMessage());
          }
        } finally {
          toBringBack.remove(leg);
        }
      });
    } catch (RejectedExecutionException e) {
      toBringBack.remove(leg); // The store is closed.
    }
  }

  /** Brings a leg back, and waits for it; harmless when it is in use. */
  void bringBackOrThrow(int leg) {
    int _ =
        onCopier(() -> {
          bringBackNow(leg);
          return leg;
        });
  }

  /** Has the thread that copies to legs do something, and waits for it, whatever interrupts. */
  <T> T onCopier(Callable<T> work) {
    Future<T> done;
    try {
      done = copier.submit(work);
    } catch (RejectedExecutionException e) {
      throw new StoreClosedException("the store is closed");
    }
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return done.get();
        } catch (InterruptedException e) {
          interrupted = true; // The copy goes on: half of one helps nobody.
        }
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof RuntimeException thrown) {
        throw thrown;
      }
      throw new IllegalStateException("a leg cannot be copied to", e.getCause());
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Lets others do what must not meet a copy, between two regions of it. */
  private void rest(long nanos) {
    if (nanos <= 0 && !repairing.hasQueuedThreads()) {
      return;
    }
    repairing.unlock();
    try {
      long end = System.nanoTime() + nanos;
      for (long left = nanos; left > 0 && !volume.isStopping(); left = end - System.nanoTime()) {
        LockSupport.parkNanos(Math.min(left, MOST_REST_NANOS));
      }
    } finally {
      repairing.lock();
    }
  }

  /** Brings a leg back; by the thread that copies to legs. */
  void bringBackNow(int index) {
    repairing.lock();
    try {
      Leg leg = volume.allLegs().get(index);
      if (leg.state() == LegState.DETACHED) {
        return; // It was taken out while this waited.
      }
      boolean inUse = leg.state() == LegState.ONLINE || leg.state() == LegState.DEGRADED;
      if (volume.isStopping()) {
        throw new StoreClosedException("the store is closed");
      }
      if (inUse && isUsed(index)) {
        return;
      }
      if (volume.hasFailed()) {
        throw new DeviceOfflineException(
            "leg " + index + ": the store gave up by its policy; open it again");
      }
      if (leg.device().state() != DeviceState.LIVE) {
        throw new DeviceOfflineException(
            "leg " + index + " (" + leg.device().name() + ") is not there");
      }
      if (volume.legs().readers() > 0) {
        volume.resilver(
            index,
            OpenStore.GRACE_NANOS,
            resilverRate,
            nanos -> {
              rest(nanos);
              watch.requireWanted(index);
            });
        softErrors.forget(index);
      } else {
        tree.whileSuspended(
            OpenStore.GRACE_NANOS,
            () -> {
              if (volume.revive(index)) {
                tree.reopen();
              }
            });
        // Others that are there already waited for one that holds everything.
        for (Leg other : volume.allLegs()) {
          if (other.index() != index
              && other.device().state() == DeviceState.LIVE
              && volume.legs().readers() > 0) {
            volume.resilver(other.index(), OpenStore.GRACE_NANOS, resilverRate, this::rest);
          }
        }
        if (!isUsed(index)) {
          throw new DeviceOfflineException(
              "leg "
                  + index
                  + " ("
                  + leg.device().name()
                  + ") does not hold everything that was acknowledged: put the other device back");
        }
      }
    } finally {
      repairing.unlock();
    }
  }

  private boolean isUsed(int index) {
    for (int reader = 0; reader < volume.legs().readers(); reader++) {
      if (volume.legs().legOf(reader) == index) {
        return true;
      }
    }
    return false;
  }

  /**
   * Runs what changes a leg while nothing is repaired or brought back.
   *
   * @throws StoreClosedException if a close has begun: then nothing was done
   */
  void whileNothingIsRepaired(Runnable action) {
    repairing.lock();
    try {
      if (volume.isStopping()) {
        throw new StoreClosedException("the store is closed");
      }
      action.run();
    } finally {
      repairing.unlock();
    }
  }

  /**
   * Names what is lost on ranges that are not repaired yet, before a close: memory knows now what
   * the next open could not tell. What cannot be named in time is left to the next open.
   */
  void nameBeforeClose(long nanos) {
    long deadline = System.nanoTime() + nanos;
    List<Endangered> all = new ArrayList<>();
    for (LegRange range : volume.badRanges()) {
      if (!volume.hasOtherCopy(range)) {
        reverseMap.owners(
            range.offset(), range.length(), owner -> all.add(new Endangered(range, owner)));
        reverseMap.invalidate(range.offset(), range.length());
      }
    }
    // What can be named at once comes first: one key that is not let go uses up all of the time.
    List<Endangered> busy = nameInTime(all, deadline, false);
    List<Endangered> left = nameInTime(busy, deadline, true);
    if (!left.isEmpty()) {
      LOG.log(
          Level.WARNING,
          "closing: there was no time to find out whether "
              + left.size()
              + " records on bad ranges are lost, the first of them on "
              + left.getFirst().range());
    }
  }

  /** What lies on a range of which no other leg has a copy. */
  private record Endangered(LegRange range, OwnedExtent owner) {}

  /** Names what is lost, and returns what there was no time for. */
  private List<Endangered> nameInTime(List<Endangered> all, long deadline, boolean patient) {
    List<Endangered> left = new ArrayList<>();
    for (Endangered each : all) {
      if (volume.isReadOnly()) {
        return List.of();
      }
      long now = System.nanoTime();
      if (now - deadline > 0) {
        left.add(each);
        continue;
      }
      OwnedExtent owner = each.owner();
      try {
        if (tree.nameIfLost(owner, patient ? deadline : now)) {
          tellLost(each.range(), owner);
        }
      } catch (TimeoutException e) {
        left.add(each);
      } catch (HoldfastException e) {
        LOG.log(Level.WARNING, "what was lost cannot be named now: " + e.getMessage());
      }
    }
    return left;
  }

  /**
   * Ends what runs, for a close.
   *
   * @return whether nothing runs any more that touches windows
   */
  boolean stop(long nanos) {
    volume.stop();
    copier.shutdown(); // What waits there finds that the store is being closed.
    long deadline = System.nanoTime() + nanos;
    if (!TimedLock.tryUntil(repairing, deadline)) {
      return false;
    }
    repairing.unlock();
    try {
      return copier.awaitTermination(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
