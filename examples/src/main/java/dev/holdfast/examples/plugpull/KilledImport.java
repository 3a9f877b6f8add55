package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreStats;
import dev.holdfast.pmem.PersistenceMode;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/**
 * The process that imports until it is killed; {@link ImportProcess} starts it and reads its
 * reports.
 */
final class KilledImport {
  /** Begins the line that tells why there is nothing to import. */
  static final String GIVES_UP = "plug-pull: ";

  private static final String NO_VALUE = "";
  private static final byte[] NO_DIGEST = new byte[0];
  private static final long REPORT_NANOS = 20_000_000;
  private static final Duration NEVER = Duration.ofDays(1);

  private final OutputStream pipe;

  private KilledImport(OutputStream pipe) {
    this.pipe = pipe;
  }

  static List<String> arguments(ImportProcess.Start start) {
    Settings settings = start.settings();
    String input = settings.input();
    Path spool = start.spool();
    return List.of(
        input == null ? NO_VALUE : input,
        spool == null ? NO_VALUE : spool.toString(),
        Long.toString(settings.sizeLimit()),
        Long.toString(settings.seed()),
        start.store().toString(),
        Boolean.toString(settings.mirrored()),
        settings.persistence().name(),
        Long.toString(settings.minOperations()),
        settings.fault().name());
  }

  /** Runs until it is killed, or until nobody reads its reports. */
  @SuppressWarnings("SystemOut") // see below: only reports may go to standard output
  public static void main(String[] arguments) {
    OutputStream pipe = new FileOutputStream(FileDescriptor.out);
    System.setOut(System.err);
    LogLines.passTo(System.err::println);
    try {
      new KilledImport(pipe).run(arguments);
    } catch (BadInputException e) {
      System.err.println(GIVES_UP + e.getMessage());
      System.exit(2);
    }
  }

  private void run(String[] arguments) {
    Settings settings =
        new Settings(
            arguments[0].equals(NO_VALUE) ? null : arguments[0],
            FaultChoice.valueOf(arguments[8]),
            0,
            Boolean.parseBoolean(arguments[5]),
            Duration.ZERO,
            PersistenceMode.valueOf(arguments[6]),
            Long.parseLong(arguments[3]),
            Long.parseLong(arguments[2]),
            null,
            Long.parseLong(arguments[7]),
            Duration.ofDays(1));
    Path spool = arguments[1].equals(NO_VALUE) ? null : Path.of(arguments[1]);
    Input input = Inputs.open(settings.input(), spool, settings.sizeLimit(), settings.seed());
    send(ImportReport.Kind.HELLO, 0, 0, ImportReport.fingerprint(input), NO_DIGEST);
    Phases phases = new Phases();
    Tally tally = new Tally(Expectation.NOTHING_LOST, phases);
    Store store =
        Run.builder(settings, Path.of(arguments[4]))
            // Where the file system is shut down it must not be noticed: the process dies before.
            .heartbeat(settings.fault() == FaultChoice.KILL ? Duration.ofSeconds(1) : NEVER)
            .open();
    Load load =
        new Load(
            store, input, new Ledger(input.count()), phases, tally, settings, new Reports(), 0, 0);
    load.start();
    while (true) {
      phases.throwIfAborted();
      report(store, load, tally);
      LockSupport.parkNanos(REPORT_NANOS);
    }
  }

  private void report(Store store, Load load, Tally tally) {
    List<Meter> meters = load.meters();
    long control = 0;
    for (int i = 0; i < meters.size(); i++) {
      control = Math.max(control, meters.get(i).controlNanos());
      send(ImportReport.Kind.COUNT, i, 0, meters.get(i).countBefore(), NO_DIGEST);
      send(ImportReport.sample(i, meters.get(i).sample()));
    }
    for (StoreStats.Leg leg : store.stats().legs()) {
      send(ImportReport.Kind.DEVICE_READS, leg.index(), 0, leg.reads(), NO_DIGEST);
    }
    send(ImportReport.Kind.CONTROL, 0, 0, control, NO_DIGEST);
    send(ImportReport.Kind.FAILED, 0, 0, tally.failed(), NO_DIGEST);
    sendAll(ImportReport.Kind.LOST, tally.lostEntries());
    sendAll(ImportReport.Kind.WRONG, tally.wrongEntries());
  }

  private void sendAll(ImportReport.Kind kind, BitSet entries) {
    entries.stream().forEach(index -> send(kind, index, 0, 0, NO_DIGEST));
  }

  private void send(ImportReport.Kind kind, int index, int version, long number, byte[] digest) {
    send(ImportReport.encode(kind, index, version, number, digest));
  }

  private synchronized void send(byte[] message) {
    try {
      pipe.write(message);
    } catch (IOException e) {
      // Nobody reads any more: without a judge there is nothing to import for.
      Runtime.getRuntime().halt(1);
      throw new UncheckedIOException(e);
    }
  }

  /** The writer's reports. */
  private final class Reports implements AcknowledgementSink {
    @Override
    public void issued(int index, int version, long length, byte[] digest) {
      send(ImportReport.Kind.ISSUED, index, version, length, digest);
    }

    @Override
    public void acknowledged(int index, int version) {
      send(ImportReport.Kind.ACKNOWLEDGED, index, version, 0, NO_DIGEST);
    }
  }
}
