package dev.holdfast.examples.plugpull;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.jspecify.annotations.Nullable;

/**
 * The process that imports and will be killed, seen from the one that judges: it reports every
 * write before it is handed to the store and again once it is acknowledged, through a pipe, so that
 * the ledger outlives it.
 *
 * <p><b>Threads:</b> one reads the pipe; the counts may be read by any.
 */
final class ImportProcess implements AutoCloseable {
  /** What the child is started with. */
  record Start(Settings settings, Path store, @Nullable Path spool) {}

  private final Process process;
  private final Input input;
  private final Ledger ledger;
  private final Tally tally;
  private final Phases phases;
  private final Thread pump;
  private final AtomicLong bytesDone = new AtomicLong();
  private final AtomicLong controlNanos = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLongArray counts = new AtomicLongArray(ImportReport.METERS);
  private final AtomicLongArray deviceReads = new AtomicLongArray(ImportReport.LEGS);
  private final BitSet lost = new BitSet();
  private final BitSet wrong = new BitSet();
  private final Series writes = new Series();
  private volatile @Nullable String trouble;
  private volatile boolean greeted;
  private int next;

  private ImportProcess(Process process, Input input, Ledger ledger, Tally tally, Phases phases) {
    this.process = process;
    this.input = input;
    this.ledger = ledger;
    this.tally = tally;
    this.phases = phases;
    this.pump = new Thread(this::pump, "plug-pull pipe");
    pump.setDaemon(true);
  }

  static ImportProcess start(Start start, Input input, Ledger ledger, Tally tally, Phases phases)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx96m",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-Dslf4j.internal.verbosity=ERROR",
            "-cp",
            System.getProperty("java.class.path"),
            KilledImport.class.getName()));
    command.addAll(KilledImport.arguments(start));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    ImportProcess child = new ImportProcess(process, input, ledger, tally, phases);
    child.pump.start();
    return child;
  }

  private void pump() {
    try (DataInputStream in = new DataInputStream(process.getInputStream())) {
      byte[] message = new byte[ImportReport.LENGTH];
      while (true) {
        in.readFully(message);
        take(new ImportReport(message));
      }
    } catch (EOFException e) {
      // The end of the child; a message that was cut off was not acknowledged.
    } catch (IOException e) {
      trouble = "the pipe to the importing process broke: " + e;
    }
  }

  private void take(ImportReport report) {
    int index = report.index();
    switch (report.kind()) {
      case HELLO -> {
        if (report.number() != ImportReport.fingerprint(input)) {
          trouble = "--input " + input.name() + ": expected to stay as it is, has changed";
        }
        greeted = true;
      }
      case ISSUED -> {
        ledger.source(index, report.number(), report.digest());
        ledger.issue(index, report.version());
      }
      case ACKNOWLEDGED -> {
        ledger.acknowledge(index, report.version());
        counts.incrementAndGet(0);
        long now = phases.now();
        writes.add(now, now, ledger.length(index));
        if (report.version() == 0) {
          next = index + 1;
          bytesDone.addAndGet(input.length(index));
        }
      }
      case COUNT -> counts.set(index, report.number());
      case CONTROL -> controlNanos.set(report.number());
      case DEVICE_READS -> deviceReads.set(index, report.number());
      case LOST -> lost.set(index);
      case WRONG -> wrong.set(index);
      case FAILED -> failed.set(report.number());
    }
  }

  /** The fewest operations of any thread. */
  long fewest() {
    long fewest = Long.MAX_VALUE;
    for (int i = 0; i < ImportReport.METERS; i++) {
      fewest = Math.min(fewest, counts.get(i));
    }
    return fewest;
  }

  boolean greeted() {
    return greeted;
  }

  boolean alive() {
    return process.isAlive();
  }

  long bytesDone() {
    return bytesDone.get();
  }

  /** The longest operation, warm-up left out. */
  long controlNanos() {
    return controlNanos.get();
  }

  /** Records read from each leg, as last reported. */
  long[] deviceReads() {
    long[] reads = new long[ImportReport.LEGS];
    Arrays.setAll(reads, deviceReads::get);
    return reads;
  }

  Series writes() {
    return writes;
  }

  /** The entry that the import goes on with. Valid after {@link #kill}. */
  int next() {
    return next;
  }

  @Nullable String trouble() {
    return trouble;
  }

  /**
   * Kills the process with SIGKILL and takes what is left in the pipe.
   *
   * @return the exit code of the process: 137 where the signal killed it
   */
  int kill() throws InterruptedException {
    process.destroyForcibly();
    int code = process.waitFor();
    pump.join(TimeUnit.SECONDS.toMillis(10));
    if (pump.isAlive()) {
      trouble = "the pipe of the killed process did not end";
    }
    tally.add(lost, wrong, failed.get());
    return code;
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
