package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.FaultContender;
import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The other end of a {@link PeersFaultWorker}: its process, and what it reports.
 *
 * <p><b>Threads:</b> one reads the pipe and counts; the figures are right once {@link #awaitEnd}
 * came back.
 */
final class PeersFaultJvm implements AutoCloseable {
  private static final long JOIN_MILLIS = 10_000;
  private static final long LONGEST_NANOS = 3_600_000_000_000L;

  private static final Pattern SIGNAL = Pattern.compile("^# +(SIG[A-Z]+) ", Pattern.MULTILINE);

  private final Process process;
  private final Thread pump;
  private final int[] lastBefore;

  /** Id and version of each write that began after the loss and was acknowledged. */
  private long[] after = new long[1 << 16];

  private int afterCount;
  private final int[] found;
  private long wrong;
  private long failedWrites;
  private long failedReads;
  private @Nullable String firstError;
  private long longest;
  private volatile long lossAt = Long.MAX_VALUE;

  /** Where the JVM says what it died of. */
  private final Path errorFile;

  private volatile boolean ready;
  private volatile @Nullable String health;
  private volatile @Nullable String done;

  PeersFaultJvm(
      String what,
      FaultContender peer,
      Path store,
      int entries,
      String persistence,
      List<Path> places,
      Path scratch)
      throws IOException {
    lastBefore = new int[entries];
    Arrays.fill(lastBefore, 1);
    found = new int[entries];
    Arrays.fill(found, -1);
    errorFile = scratch.resolve("hs_err-" + what + ".log");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(PeerFlags.ALL);
    command.add("-XX:+UseSerialGC");
    command.add("-Xmx512m");
    command.add("-XX:-CreateCoredumpOnCrash");
    command.add("-XX:ErrorFile=" + errorFile);
    // What a JVM says when it dies is no message of the worker.
    command.add("-XX:+DisplayVMOutputToStderr");
    command.add("-Djava.io.tmpdir=" + scratch);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(PeersFaultWorker.class.getName());
    command.add(what);
    command.add(peer.name());
    command.add(store.toString());
    command.add(Integer.toString(entries));
    command.add(persistence);
    places.forEach(place -> command.add(place.toString()));
    process =
        new ProcessBuilder(command)
            .directory(scratch.toFile())
            .redirectError(
                ProcessBuilder.Redirect.appendTo(scratch.resolve(peer + ".log").toFile()))
            .start();
    pump = Thread.ofPlatform().daemon().name("peers-fault pipe").start(this::pump);
  }

  private void pump() {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(process.getInputStream(), 1 << 16))) {
      while (true) {
        byte kind = in.readByte();
        int id = in.readInt();
        int version = in.readInt();
        long start = in.readLong();
        long nanos = in.readLong();
        if (!isPossible(start, nanos)) {
          return; // A JVM that was dying wrote a part of a message, and then of another one.
        }
        String text = PeersFaultWorker.hasText(kind) ? in.readUTF() : "";
        take(kind, id, version, start, nanos, text);
      }
    } catch (EOFException e) {
      // Its end.
    } catch (IOException e) {
      done = "pipe: " + e;
    }
  }

  /**
   * Whether something can have begun then, and have taken so long, by the one clock of a machine.
   */
  static boolean isPossible(long start, long nanos) {
    return nanos >= 0 && start + nanos - System.nanoTime() <= 0 && nanos < LONGEST_NANOS;
  }

  private void take(byte kind, int id, int version, long start, long nanos, String text) {
    switch (kind) {
      case PeersFaultWorker.READY -> ready = true;
      case PeersFaultWorker.WRITTEN -> written(id, version, start);
      case PeersFaultWorker.WRITE_FAILED -> {
        failedWrites++;
        firstError = firstError == null ? "put: " + text : firstError;
      }
      case PeersFaultWorker.READ_FAILED -> {
        failedReads++;
        firstError = firstError == null ? "get: " + text : firstError;
      }
      case PeersFaultWorker.WRONG -> wrong++;
      case PeersFaultWorker.HEALTH -> health = text;
      case PeersFaultWorker.DONE -> done = text;
      case PeersFaultWorker.FOUND -> found[id] = version;
      default -> {}
    }
    if (start + nanos > lossAt && kind != PeersFaultWorker.HEALTH) {
      longest = Math.max(longest, nanos);
    }
  }

  private void written(int id, int version, long start) {
    if (start <= lossAt) {
      lastBefore[id] = version;
      return;
    }
    if (afterCount == after.length) {
      after = Arrays.copyOf(after, 2 * afterCount);
    }
    after[afterCount++] = (long) id << Integer.SIZE | version;
  }

  /** From here on the files are gone. */
  void lost() {
    lossAt = System.nanoTime();
  }

  boolean isReady() {
    return ready;
  }

  boolean isAlive() {
    return process.isAlive();
  }

  @Nullable String done() {
    return done;
  }

  @Nullable String health() {
    return health;
  }

  /** Sends a command; harmless if it is dead. */
  void send(String command) {
    try {
      process.getOutputStream().write((command + "\n").getBytes(StandardCharsets.US_ASCII));
      process.getOutputStream().flush();
    } catch (IOException e) {
      // It has died: that is seen elsewhere.
    }
  }

  /** Waits for its end, and ends it where it does not come; returns how it died, or null. */
  @Nullable String awaitEnd(long millis) throws InterruptedException {
    boolean ended = process.waitFor(millis, TimeUnit.MILLISECONDS);
    if (!ended) {
      process.toHandle().destroyForcibly();
      process.waitFor();
    }
    pump.join(JOIN_MILLIS);
    int code = process.exitValue();
    if (!ended) {
      return "hung";
    }
    return code == 0 ? null : "died (" + causeOf(code, errorFile) + ")";
  }

  /** The signal that a JVM says it died of, or else its exit code. */
  static String causeOf(int code, Path errorFile) {
    try {
      String said = Files.readString(errorFile, StandardCharsets.ISO_8859_1);
      Matcher signal = SIGNAL.matcher(said);
      if (signal.find()) {
        return signal.group(1);
      }
    } catch (IOException e) {
      // It said nothing.
    }
    return "exit code " + code;
  }

  long acknowledgedAfter() {
    return afterCount;
  }

  /** How many of the writes acknowledged after the loss another process did not find. */
  long goneAfter(PeersFaultJvm looked) {
    long gone = 0;
    for (int i = 0; i < afterCount; i++) {
      int id = (int) (after[i] >>> Integer.SIZE);
      gone += looked.found[id] < (int) after[i] ? 1 : 0;
    }
    return gone;
  }

  /** How many entries another process found older than they were acknowledged before the loss. */
  long goneBefore(PeersFaultJvm looked) {
    long gone = 0;
    for (int id = 0; id < lastBefore.length; id++) {
      gone += looked.found[id] < lastBefore[id] ? 1 : 0;
    }
    return gone;
  }

  long wrong() {
    return wrong;
  }

  long failedWrites() {
    return failedWrites;
  }

  long failedReads() {
    return failedReads;
  }

  @Nullable String firstError() {
    return firstError;
  }

  long longest() {
    return longest;
  }

  @Override
  public void close() {
    process.toHandle().destroyForcibly();
  }
}
