package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.codec.chronicle.BytesView;
import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.UnsupportedPlatformException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.FaultInjector;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import net.openhft.chronicle.bytes.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * The course of events: import and verify, strike half-way, go on, read everything back, close,
 * open, read everything back again.
 *
 * <p><b>Threads:</b> confined to one; the load has threads of its own.
 */
final class Run {
  /** How a store is opened: for tests, which open stores with defects. */
  @FunctionalInterface
  interface Opener {
    Store open(StoreBuilder builder);
  }

  /** What a run found. */
  record Outcome(Result result, Verdict verdict, Report report) {}

  private static final long POLL_NANOS = 20_000_000;
  private static final long STUCK_NANOS = 30_000_000_000L;
  private static final long CLOSE_WAIT_MILLIS = 30_000;
  private static final long EVENTS_WAIT_NANOS = 500_000_000;
  private static final int KILLED = 128 + 9;

  /** How long the child goes on while the file system under a leg is gone. */
  private static final long WINDOW_NANOS = 300_000_000;

  private static final long LEG_WAIT_NANOS = 60_000_000_000L;

  /** Two legs, the space that overwriting leaves behind, and the doubling of a store that grows. */
  private static final int ROOM_FACTOR = 3;

  private static final long ROOM_LEAST = 64L << 20;
  private static final long ROOM_UNKNOWN_INPUT = 256L << 20;

  private final Settings settings;
  private final Opener opener;
  private final Console console;
  private final InputStream standardInput;
  private final Phases phases = new Phases();
  private final Timeline timeline = new Timeline(phases);
  private final Tally tally;

  /** Counts what is not right where everything must be: healed, reopened, back online. */
  private final Tally settled = new Tally(Expectation.NOTHING_LOST, phases);

  private final List<String> problems = new ArrayList<>();
  private final Report report;

  Run(Settings settings, Opener opener, Console console, InputStream standardInput) {
    this.settings = settings;
    this.opener = opener;
    this.console = console;
    this.standardInput = standardInput;
    this.tally = new Tally(settings.expectation(), phases);
    this.report = new Report(settings, console, phases, timeline);
  }

  /**
   * Runs it all.
   *
   * @throws BadInputException if it cannot be run as asked for
   */
  Outcome execute() {
    boolean spooled = Inputs.STANDARD_INPUT.equals(settings.input());
    Input input = spooled ? null : openInput(null);
    long needed = input == null ? ROOM_UNKNOWN_INPUT : roomFor(input);
    try (WorkDirectory work = WorkDirectory.create(settings.directory(), needed)) {
      Path spool = spooled ? Inputs.spool(standardInput, work.path()) : null;
      Course course = new Course(input == null ? openInput(spool) : input, work, spool);
      return course.run();
    } catch (OutOfSpaceException e) {
      throw new BadInputException("no space: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  private Input openInput(@Nullable Path spool) {
    Input input = Inputs.open(settings.input(), spool, settings.sizeLimit(), settings.seed());
    report.begin(input);
    return input;
  }

  private long roomFor(Input input) {
    return input.bytes() * (settings.mirrored() ? 2 : 1) * ROOM_FACTOR / 2 + ROOM_LEAST;
  }

  static StoreBuilder builder(Settings settings, Path directory) {
    StoreBuilder builder = Store.builder(directory).persistence(settings.persistence());
    if (settings.fault().needsFileSystems()) {
      return builder.legs(WorkDirectory.legsOnFileSystems(directory));
    }
    return settings.mirrored() ? builder.mirror() : builder.single();
  }

  /** One run over one input. */
  private final class Course {
    private final Input input;
    private final WorkDirectory work;
    private final @Nullable Path spool;
    private final Ledger ledger;

    /** Entries on the pages that are poisoned, and those that moved while that was looked up. */
    private Set<ByteBuffer> hit = new HashSet<>();

    private long closeMillis;
    private long faultsCaught;
    private long controlNanos;
    private long fewestBefore;
    private long[] childReads = {};
    private String state = "UNKNOWN";
    private List<Result.LegReads> legReads = List.of();

    /** The leg whose file system was shut down; -1 for none. */
    private int struckLeg = -1;

    Course(Input input, WorkDirectory work, @Nullable Path spool) {
      this.input = input;
      this.work = work;
      this.spool = spool;
      this.ledger = new Ledger(input.count());
    }

    Outcome run() throws InterruptedException {
      int first = 0;
      long done = 0;
      if (settings.fault().needsFileSystems()) {
        work.makeFileSystems(roomFor(input));
      }
      if (settings.fault().kills()) {
        first = importUntilKilled();
        for (int i = 0; i < first; i++) {
          done += input.length(i);
        }
      }
      Store store = open(builder(settings, work.store()));
      if (settings.fault().kills()) {
        stamp(
            "store open again", String.format(Locale.ROOT, "%,d entries", store.stats().entries()));
        verifyAll(store, tally, "checking what was acknowledged");
        stamp(
            "entries checked",
            String.format(Locale.ROOT, "all %,d acknowledged", ledger.countAcknowledged()));
      }
      report.opened(store);
      Load load =
          new Load(
              store, input, ledger, phases, tally, settings, AcknowledgementSink.NONE, first, done);
      boolean ended = underLoad(store, load);
      if (ended) {
        compare(store);
      } else {
        problems.add("the run was given up: a thread does not return");
      }
      return outcome(load);
    }

    private Store open(StoreBuilder builder) {
      try {
        return opener.open(builder.listener(timeline::event));
      } catch (UnsupportedPlatformException | DeviceIoException e) {
        throw new BadInputException("the store cannot be opened: " + e.getMessage(), e);
      }
    }

    private void stamp(String what, String detail) {
      timeline.stamp(phases.now(), what, detail);
    }

    /** Returns the entry to go on with. */
    private int importUntilKilled() throws InterruptedException {
      ImportProcess.Start start = new ImportProcess.Start(settings, work.store(), spool);
      try (ImportProcess child =
          ImportProcess.start(start, input, ledger, tally, phases, console::line)) {
        Runtime.getRuntime().addShutdownHook(new Thread(child::close));
        long total = input.bytes();
        long deadline = 0;
        boolean ready = false;
        while (child.alive() && child.trouble() == null && child.broken() == null && !ready) {
          LockSupport.parkNanos(POLL_NANOS / 10);
          if (!child.greeted()) {
            // A JVM that starts imports nothing yet: no rate, and no time to be drawn.
            console.startClock();
            report.importBegins();
          }
          console.progress("import", child.bytesDone(), total, "B");
          boolean half = child.greeted() && child.bytesDone() >= total / 2;
          if (half && deadline == 0) {
            deadline = System.nanoTime() + settings.patience().toNanos();
          }
          ready =
              half
                  && (child.fewest() >= settings.minOperations()
                      || System.nanoTime() - deadline > 0);
        }
        phases.strike();
        if (settings.fault() == FaultChoice.FS_SHUTDOWN_KILL) {
          shutDownUnderChild();
        } else {
          timeline.stamp(phases.struckAt(), "fault raised", "the importing process is killed");
        }
        int code = child.kill();
        phases.injected();
        String trouble = child.trouble();
        if (trouble != null) {
          throw new BadInputException(trouble);
        }
        String broken = child.broken();
        if (broken != null) {
          problems.add(broken);
        }
        if (code == KILLED) {
          faultsCaught = 1;
          stamp("process dead", "exit code " + code);
        } else {
          problems.add("importing process: expected to die of SIGKILL (137), ended with " + code);
        }
        fewestBefore = child.fewest();
        controlNanos = child.controlNanos();
        childReads = child.deviceReads();
        report.childDied(child.series(), child.counts());
        if (settings.fault() == FaultChoice.FS_SHUTDOWN_KILL) {
          remount();
        }
        return child.next();
      } catch (IOException e) {
        throw new BadInputException("the importing process cannot be started: " + e, e);
      }
    }

    /** What the child acknowledges from here on is on one leg, and nobody knows. */
    private void shutDownUnderChild() {
      struckLeg = (int) (settings.seed() & 1);
      timeline.stamp(
          phases.struckAt(), "fault raised", "the XFS under leg " + struckLeg + " is shut down");
      work.fileSystems().get(struckLeg).shutDown();
      LockSupport.parkNanos(WINDOW_NANOS);
      stamp("process killed", "the store has not noticed");
    }

    /** Only what was on the medium is there then. */
    private void remount() {
      try {
        work.fileSystems().get(struckLeg).unmount();
        work.fileSystems().get(struckLeg).mount();
        stamp("mounted again", "leg " + struckLeg + " has what was on its medium");
      } catch (DeviceIoException e) {
        problems.add("leg " + struckLeg + " could not be mounted again: " + e.getMessage());
      }
    }

    /** Waits until a leg is in a state. */
    private void awaitLeg(Store store, Load load, LegState wanted, String what) {
      long deadline = System.nanoTime() + LEG_WAIT_NANOS;
      while (store.health().legs().get(struckLeg).state() != wanted) {
        if (System.nanoTime() - deadline > 0) {
          problems.add(
              "leg "
                  + struckLeg
                  + ": expected "
                  + wanted
                  + ", was "
                  + store.health().legs().get(struckLeg).state());
          return;
        }
        console.progress("import", load.bytesDone(), input.bytes(), "B");
        LockSupport.parkNanos(POLL_NANOS / 10);
      }
      stamp(what, "leg " + struckLeg + " is " + wanted);
    }

    /** The leg that came back, and nothing else: it holds everything. */
    private void compareReturnedLeg() throws InterruptedException {
      try {
        work.fileSystems().get(1 - struckLeg).unmount();
      } catch (DeviceIoException e) {
        problems.add("leg " + (1 - struckLeg) + " could not be unmounted: " + e.getMessage());
        return;
      }
      reopenAndCompare(builder(settings, work.store()), settled);
    }

    /** Whether every thread came to an end. */
    private boolean underLoad(Store store, Load load) throws InterruptedException {
      long[] start = reads(store);
      long[] atFault = start;
      console.startClock();
      if (!settings.fault().kills()) {
        report.importBegins();
      }
      load.start();
      if (!settings.fault().kills()) {
        if (!await(load, load::halfWay)) {
          return false;
        }
        if (settings.fault() == FaultChoice.NONE) {
          atFault = reads(store);
          phases.strike();
        } else if (settings.fault() == FaultChoice.FS_SHUTDOWN && !phases.stopping()) {
          Striker.ShutDown shutDown =
              new Striker(settings, store, phases, timeline).prepareShutDown(work.fileSystems());
          struckLeg = shutDown.leg();
          atFault = reads(store);
          shutDown.strike().raise();
          phases.injected();
          awaitLeg(store, load, LegState.REMOVED, "leg lost");
          remount();
        } else if (!phases.stopping()) {
          Striker striker = new Striker(settings, store, phases, timeline);
          load.takeDownWrites();
          Striker.Strike strike = striker.prepare();
          load.readMoreOften(entriesOf(striker.hit()));
          atFault = reads(store);
          strike.raise();
          stamp("fault complete", "every page that it hits faults");
          hit = striker.hit();
          load.writesTakenDown().stream()
              .filter(entry -> entry >= 0)
              .forEach(entry -> hit.add(ByteBuffer.wrap(input.key(entry))));
        }
        if (phases.injectedAt() == Phases.NEVER) {
          phases.injected();
        }
      }
      boolean ended = await(load, load::writerDone);
      awaitSwitch();
      if (struckLeg >= 0) {
        awaitLeg(store, load, LegState.ONLINE, "leg returned");
      }
      phases.stop();
      ended &= load.join(ended ? 10_000 : 1);
      phases.throwIfAborted();
      stamp("import done", String.format(Locale.ROOT, "%,d entries", ledger.countAcknowledged()));
      long[] now = reads(store);
      legReads = new ArrayList<>();
      for (int i = 0; i < now.length; i++) {
        long before = i < childReads.length ? childReads[i] : atFault[i] - start[i];
        legReads.add(new Result.LegReads(i, before, now[i] - atFault[i]));
      }
      if (!settings.fault().kills()) {
        faultsCaught = noticed(store);
        fewestBefore = load.fewestBefore();
        for (Meter meter : load.meters()) {
          controlNanos = Math.max(controlNanos, meter.control().getMaxValue());
        }
      }
      StoreHealth health = store.health();
      state = health.state().name();
      report.health(health);
      return ended;
    }

    /** Faults that accesses met, or that the store was told of and answered to. */
    private long noticed(Store store) {
      long met = store.stats().faultsCaught();
      for (HealthEvent.Kind kind :
          List.of(HealthEvent.Kind.FAULT_CAUGHT, HealthEvent.Kind.RANGE_POISONED)) {
        met = Math.max(met, timeline.count(kind));
      }
      return met;
    }

    private long[] reads(Store store) {
      return store.stats().legs().stream().mapToLong(StoreStats.Leg::reads).toArray();
    }

    private int[] entriesOf(Set<ByteBuffer> keys) {
      List<Integer> entries = new ArrayList<>();
      for (int i = 0; i < ledger.frontier() && !keys.isEmpty(); i++) {
        if (keys.contains(ByteBuffer.wrap(input.key(i)))) {
          entries.add(i);
        }
      }
      return entries.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Whether it came true before a thread got stuck. */
    private boolean await(Load load, BooleanSupplier condition) {
      long total = input.bytes();
      while (!condition.getAsBoolean() && !load.writerDone()) {
        console.progress("import", load.bytesDone(), total, "B");
        String stuck = load.stuck(STUCK_NANOS);
        if (stuck != null) {
          tally.failed(stuck);
          return false;
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
      return true;
    }

    /** The news of the switch come off the data path, and may be on their way. */
    private void awaitSwitch() {
      long deadline = System.nanoTime() + EVENTS_WAIT_NANOS;
      boolean due = settings.mirrored() && settings.fault() == FaultChoice.REMOVE;
      while (due
          && timeline.first(HealthEvent.Kind.WRITE_SWITCHED) == null
          && System.nanoTime() - deadline < 0) {
        LockSupport.parkNanos(POLL_NANOS / 10);
      }
    }

    private void compare(Store store) throws InterruptedException {
      switch (settings.expectation()) {
        case NOTHING_LOST -> {
          verifyAll(store, tally, "reading everything back");
          requireEntries(store);
          if (settings.mirrored() && settings.fault() == FaultChoice.REMOVE) {
            bringBack(store);
          }
          close(store);
          reopenAndCompare(builder(settings, work.store()), tally);
          if (struckLeg >= 0) {
            compareReturnedLeg();
          }
        }
        case NAMED_LOSS -> {
          verifyAll(store, tally, "reading everything back");
          requireNamed(store);
          heal(store);
          verifyAll(store, settled, "reading everything back, healed");
          requireNothingNamed(store);
          close(store);
          reopenAndCompare(builder(settings, work.store()), settled);
        }
        case READ_ONLY -> {
          verifyAll(store, tally, "reading everything back");
          StoreHealth health = store.health();
          if (health.reason() == null) {
            problems.add("health().reason(): expected why the store is read-only, was null");
          }
          close(store);
          reopenAndCompare(builder(settings, work.store()).readOnly(), tally);
        }
        case UNAVAILABLE -> {
          close(store);
          reinsert();
          reopenAndCompare(builder(settings, work.store()), settled);
        }
      }
    }

    /** The leg that was pulled out comes back, gets what it missed, and serves alone. */
    private void bringBack(Store store) {
      WayBack back = new WayBack(store, console, problems);
      if (back.go()) {
        back.leaveItAlone();
        verifyAll(store, settled, "reading everything from the leg that came back");
        requireEntries(store);
      }
    }

    /** Offline is not lost: the devices come back, and everything is there. */
    private void reinsert() {
      try (Stream<Path> files = Files.list(work.store())) {
        String suffix = ".removed";
        for (Path file : files.filter(f -> f.toString().endsWith(suffix)).toList()) {
          String name = file.toString();
          FaultInjector.reinsert(Path.of(name.substring(0, name.length() - suffix.length())));
        }
      } catch (IOException e) {
        problems.add("the devices could not be put back: " + e);
      }
    }

    private void close(Store store) throws InterruptedException {
      long start = System.nanoTime();
      Thread closer =
          new Thread(
              () -> {
                try {
                  store.close();
                } catch (RuntimeException e) {
                  settled.failed("close threw " + e);
                }
              },
              "plug-pull close");
      closer.setDaemon(true);
      closer.start();
      closer.join(CLOSE_WAIT_MILLIS);
      if (closer.isAlive()) {
        problems.add("close: expected to return, had not after " + CLOSE_WAIT_MILLIS + " ms");
      }
      closeMillis = Math.max(closeMillis, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
    }

    private void reopenAndCompare(StoreBuilder builder, Tally counts) throws InterruptedException {
      Store again;
      try {
        again = open(builder);
      } catch (BadInputException | dev.holdfast.error.HoldfastException e) {
        problems.add("reopening: expected an open store, was " + e);
        return;
      }
      long closedIn = closeMillis;
      verifyAll(again, counts, "reopened, reading everything back");
      if (settings.expectation() == Expectation.NOTHING_LOST) {
        requireEntries(again);
      }
      close(again);
      closeMillis = closedIn;
    }

    private void verifyAll(Store store, Tally counts, String what) {
      int frontier = ledger.frontier();
      console.startClock();
      try (Reader reader = new Reader(store, input, ledger, counts)) {
        for (int i = 0; i < frontier; i++) {
          console.progress(what, i, frontier, "entries");
          if (ledger.isAcknowledged(i)) {
            reader.verify(i, null);
          }
        }
      }
    }

    private void requireEntries(Store store) {
      long entries = store.stats().entries();
      long least = ledger.countAcknowledged();
      long most = least + ledger.countUncertain();
      if (entries < least || entries > most) {
        problems.add("stats().entries(): expected " + least + " to " + most + ", was " + entries);
      }
    }

    /** What is lost lived on a poisoned page, and the store's health names it. */
    private void requireNamed(Store store) {
      List<StoreHealth.Lost> named = store.health().lost();
      BitSet lost = tally.lostEntries();
      for (int i = lost.nextSetBit(0); i >= 0; i = lost.nextSetBit(i + 1)) {
        ByteBuffer key = ByteBuffer.wrap(input.key(i));
        if (!hit.contains(key)) {
          problems.add("entry " + i + ": lost, and it did not live on a poisoned page");
        }
        // One that was lost and then overwritten by the import is healed, and named no more.
        boolean isNamed = named.stream().anyMatch(range -> covers(range, key.array()));
        if (!isNamed && stillLost(store, i)) {
          problems.add("entry " + i + ": lost, and health().lost() does not name it");
        }
      }
    }

    private static boolean covers(StoreHealth.Lost lost, byte[] key) {
      byte[] low = lost.low();
      byte[] high = lost.high();
      return (low == null || Arrays.compareUnsigned(low, key) <= 0)
          && (high == null || Arrays.compareUnsigned(key, high) < 0);
    }

    private void requireNothingNamed(Store store) {
      for (StoreHealth.Lost lost : store.health().lost()) {
        byte[] key = lost.key();
        problems.add(
            "health().lost() after overwriting: expected nothing, was "
                + (key == null ? "an unknown key" : new String(key, StandardCharsets.UTF_8))
                + " at ["
                + lost.offset()
                + ", +"
                + lost.length()
                + ")");
      }
    }

    private boolean stillLost(Store store, int index) {
      Tally one = new Tally(Expectation.NAMED_LOSS, phases);
      try (Reader reader = new Reader(store, input, ledger, one)) {
        return !reader.verify(index, null);
      }
    }

    private void heal(Store store) {
      Values values = new Values();
      Bytes<?> key = Bytes.allocateElasticDirect();
      Bytes<?> value = Bytes.allocateElasticDirect();
      BytesView view = BytesView.of(store);
      BitSet lost = tally.lostEntries();
      for (int i = lost.nextSetBit(0); i >= 0; i = lost.nextSetBit(i + 1)) {
        try {
          values.load(input, i, value);
          int version = ledger.issued(i) + 1;
          Values.version(value, version);
          key.clear();
          key.write(input.key(i));
          ledger.issue(i, version);
          view.put(key, value);
          ledger.acknowledge(i, version);
        } catch (IOException e) {
          problems.add("entry " + i + ": its source cannot be read again: " + e);
        } catch (RuntimeException e) {
          settled.writeThrew(i, e);
        }
      }
      key.releaseLast();
      value.releaseLast();
    }

    private Outcome outcome(Load load) {
      BitSet lost = tally.lostEntries();
      lost.or(settled.lostEntries());
      BitSet wrong = tally.wrongEntries();
      wrong.or(settled.wrongEntries());
      if (!settled.lostEntries().isEmpty()) {
        problems.add(
            "after healing: expected every entry to be there, "
                + settled.lostEntries().cardinality()
                + " were not");
      }
      long longest = 0;
      for (Meter meter : load.meters()) {
        longest = Math.max(longest, meter.after().getMaxValue());
      }
      Result result =
          new Result(
              input.count(),
              input.bytes(),
              ledger.countAcknowledged(),
              lost.cardinality(),
              wrong.cardinality(),
              tally.failed() + settled.failed(),
              faultsCaught,
              TimeUnit.NANOSECONDS.toMicros(longest),
              TimeUnit.NANOSECONDS.toMicros(controlNanos),
              sinceNoticed(HealthEvent.Kind.READ_SWITCHED),
              sinceNoticed(HealthEvent.Kind.WRITE_SWITCHED),
              legReads,
              state);
      if (load.unreadable() > 0) {
        console.line(
            "the source could not be read any more when its turn came: "
                + load.unreadable()
                + (load.unreadable() == 1 ? " time" : " times"));
      }
      Verdict.Facts facts =
          new Verdict.Facts(
              tally.silentlyLost() + settled.silentlyLost(),
              tally.refusedReads(),
              tally.refusedWrites(),
              tally.acknowledgedAfterLoss(),
              closeMillis,
              fewestBefore,
              load.fewestAfter(),
              problems);
      report.load(load);
      List<String> messages = new ArrayList<>(tally.messages());
      messages.addAll(settled.messages());
      Verdict verdict = Verdict.of(settings, result, facts);
      report.end(result, verdict, facts, messages);
      return new Outcome(result, verdict, report);
    }

    private @Nullable Long sinceNoticed(HealthEvent.Kind kind) {
      Long at = timeline.first(kind);
      return at == null ? null : TimeUnit.NANOSECONDS.toMicros(at - report.noticedAt());
    }
  }
}
