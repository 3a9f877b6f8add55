package dev.holdfast.examples.plugpull;

import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.Consumer;
import java.util.stream.Stream;
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

  private static final long PIPE_WAIT_MILLIS = 10_000;

  private final Process process;
  private final Input input;
  private final Ledger ledger;
  private final Tally tally;
  private final Phases phases;
  private final Consumer<String> lines;
  private final Thread pump;
  private final Thread listener;
  private final AtomicLong bytesDone = new AtomicLong();
  private final AtomicLong controlNanos = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLongArray counts = new AtomicLongArray(ImportReport.METERS);
  private final AtomicLongArray deviceReads = new AtomicLongArray(ImportReport.LEGS);
  private final BitSet lost = new BitSet();
  private final BitSet wrong = new BitSet();
  private final List<Series> series =
      Stream.generate(Series::new).limit(ImportReport.METERS).toList();
  private volatile @Nullable String trouble;
  private volatile @Nullable String broken;
  private volatile boolean greeted;
  private int next;

  /**
   * @param process the child, running
   * @param lines takes what the child has to say
   */
  ImportProcess(
      Process process,
      Input input,
      Ledger ledger,
      Tally tally,
      Phases phases,
      Consumer<String> lines) {
    this.process = process;
    this.input = input;
    this.ledger = ledger;
    this.tally = tally;
    this.phases = phases;
    this.lines = lines;
    this.pump = new Thread(this::pump, "plug-pull pipe");
    this.listener = new Thread(this::listen, "plug-pull listener");
    pump.setDaemon(true);
    listener.setDaemon(true);
  }

  static ImportProcess start(
      Start start, Input input, Ledger ledger, Tally tally, Phases phases, Consumer<String> lines)
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
    Process process = new ProcessBuilder(command).start();
    ImportProcess child = new ImportProcess(process, input, ledger, tally, phases, lines);
    child.read();
    return child;
  }

  /** Begins to read what the child reports and says. */
  void read() {
    pump.start();
    listener.start();
  }

  /** The child's lines must not run into the progress bar of this process. */
  private void listen() {
    try (BufferedReader in = process.errorReader()) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        if (line.startsWith(KilledImport.GIVES_UP)) {
          trouble = line.substring(KilledImport.GIVES_UP.length());
        } else {
          lines.accept(line);
        }
      }
    } catch (IOException e) {
      lines.accept("the importing process cannot be heard any more: " + e);
    }
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
    } catch (IOException | IllegalArgumentException e) {
      broken = "the pipe to the importing process broke: " + e;
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
        if (report.version() == 0) {
          next = index + 1;
          bytesDone.addAndGet(input.length(index));
        }
      }
      // The acknowledgements, counted one by one, may be ahead of the writer's own count.
      case COUNT -> counts.accumulateAndGet(index, report.number(), Math::max);
      case SAMPLE -> {
        Meter.Sample sample = report.sample();
        long now = phases.now();
        long nanos = Math.clamp(Math.max(sample.nanos(), sample.longest()), 0, now);
        series.get(index).add(now - nanos, now, sample.bytes(), sample.longest());
      }
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

  /** What the threads did over time, the writer first. Valid after {@link #kill}. */
  List<Series> series() {
    return series;
  }

  /** How many operations each thread did, the writer first. */
  long[] counts() {
    long[] all = new long[ImportReport.METERS];
    Arrays.setAll(all, counts::get);
    return all;
  }

  /** The entry that the import goes on with. Valid after {@link #kill}. */
  int next() {
    return next;
  }

  /** Why the run cannot be made as asked for, or null. */
  @Nullable String trouble() {
    return trouble;
  }

  /** Why the reports ended before the process did, or null. */
  @Nullable String broken() {
    return broken;
  }

  /**
   * Kills the process with SIGKILL and takes what is left in the pipe.
   *
   * @return the exit code of the process: 137 where the signal killed it
   */
  int kill() throws InterruptedException {
    sigkill();
    int code = process.waitFor();
    pump.join(PIPE_WAIT_MILLIS);
    listener.join(PIPE_WAIT_MILLIS);
    if (pump.isAlive()) {
      broken = "the pipe of the killed process did not end";
    }
    tally.add(lost, wrong, failed.get());
    return code;
  }

  @Override
  public void close() {
    sigkill();
  }

  /** Through the handle: {@link Process#destroyForcibly} closes the pipe before it is read out. */
  private void sigkill() {
    process.toHandle().destroyForcibly();
  }
}
