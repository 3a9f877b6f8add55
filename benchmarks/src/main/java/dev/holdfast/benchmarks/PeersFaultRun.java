package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.FaultContender;
import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One store and one fault: load, loss under load, return, and a look at what is there.
 *
 * <p><b>Threads:</b> confined to one.
 */
final class PeersFaultRun {
  private static final long FILE_SYSTEM = 512L << 20;
  private static final long POLL_NANOS = 10_000_000;
  private static final long READY_NANOS = Duration.ofSeconds(60).toNanos();
  private static final long RETURN_NANOS = Duration.ofSeconds(40).toNanos();
  private static final long STOP_MILLIS = 15_000;
  private static final long LOOK_MILLIS = 60_000;

  /** How long, and how much. */
  record Settings(int entries, Duration before, Duration after, PersistenceMode persistence) {}

  private final FaultContender peer;
  private final boolean truncated;
  private final Settings settings;
  private final Path place;
  private final List<LoopXfs> fileSystems = new ArrayList<>();
  private final List<Path> places = new ArrayList<>();
  private Path store;

  PeersFaultRun(FaultContender peer, boolean truncated, Settings settings, Path place) {
    this.peer = peer;
    this.truncated = truncated;
    this.settings = settings;
    this.place = place;
    this.store = place.resolve("store");
  }

  PeersFaultResult run() throws IOException, InterruptedException {
    try {
      for (int i = 0; i < peer.fileSystems(); i++) {
        fileSystems.add(
            LoopXfs.make(place.resolve("xfs-" + i), place.resolve("fs-" + i), FILE_SYSTEM));
        places.add(fileSystems.get(i).directory());
      }
      boolean ours = peer == FaultContender.HOLDFAST || peer == FaultContender.HOLDFAST_SINGLE;
      // Ours has its witness beside, and its legs there; the others have all they have there.
      store = ours ? place.resolve("store") : places.getFirst().resolve("store");
      Files.createDirectories(store);
      try (PeersFaultJvm jvm = start("load")) {
        return strike(jvm);
      }
    } finally {
      fileSystems.forEach(LoopXfs::close);
    }
  }

  private PeersFaultJvm start(String what) throws IOException {
    return new PeersFaultJvm(
        what, peer, store, settings.entries(), settings.persistence().name(), places, place);
  }

  private PeersFaultResult strike(PeersFaultJvm jvm) throws IOException, InterruptedException {
    if (!await(READY_NANOS, () -> jvm.isReady() || jvm.done() != null || !jvm.isAlive())
        || !jvm.isReady()) {
      throw new IOException(peer + ": was not loaded: " + jvm.done());
    }
    sync();
    pause(settings.before());
    LoopXfs lost = fileSystems.getFirst();
    if (truncated) {
      truncateAll(lost.directory());
    }
    lost.shutDown();
    jvm.lost();
    pause(settings.after());
    String returned = peer.fileSystems() > 1 ? returnWhileItRuns(jvm, lost) : "";
    jvm.send("stop");
    String death = jvm.awaitEnd(STOP_MILLIS);
    try {
      if (returned.isEmpty()) {
        lost.unmount();
        lost.mount();
      }
    } catch (DeviceIoException e) {
      throw new IOException(peer + ": could not be mounted again: " + e.getMessage(), e);
    }
    String closed = jvm.done();
    try (PeersFaultJvm looked = start("look")) {
      String lookedDeath = looked.awaitEnd(LOOK_MILLIS);
      return new PeersFaultResult(
          peer,
          truncated,
          death,
          jvm.acknowledgedAfter(),
          jvm.goneAfter(looked),
          jvm.goneBefore(looked),
          jvm.wrong(),
          jvm.failedWrites(),
          jvm.failedReads(),
          jvm.firstError(),
          jvm.longest(),
          afterReturn(returned, closed, looked, lookedDeath));
    }
  }

  private static String afterReturn(
      String returned,
      @Nullable String closed,
      PeersFaultJvm looked,
      @Nullable String lookedDeath) {
    if (!returned.isEmpty()) {
      return returned;
    }
    String left = closed == null || closed.isEmpty() ? "" : "close threw; ";
    if (lookedDeath != null) {
      return left + "reopening: the JVM " + lookedDeath;
    }
    String why = looked.done();
    return left
        + (why == null || why.isEmpty() || why.startsWith("close")
            ? "opens when reopened"
            : "does not open: " + why.replaceFirst("^open: ", ""));
  }

  /** Puts the file system back while the process goes on; returns what became of that. */
  private static String returnWhileItRuns(PeersFaultJvm jvm, LoopXfs lost) {
    try {
      lost.unmount();
      lost.mount();
    } catch (DeviceIoException e) {
      return "";
    }
    long start = System.nanoTime();
    boolean online =
        await(
            RETURN_NANOS,
            () -> {
              jvm.send("health");
              return "ONLINE".equals(jvm.health()) || !jvm.isAlive();
            });
    return online && jvm.isAlive()
        ? String.format(
            Locale.ROOT,
            "back by itself after %.1f s, nothing closed",
            (System.nanoTime() - start) / 1e9)
        : "did not come back: " + jvm.health();
  }

  /** What was loaded is on the medium: what is lost then was acknowledged later. */
  private void sync() throws IOException, InterruptedException {
    for (Path mounted : places) {
      Process sync = new ProcessBuilder("sync", "-f", mounted.toString()).start();
      if (sync.waitFor() != 0) {
        throw new IOException(mounted + ": cannot be synced");
      }
    }
  }

  private static void truncateAll(Path directory) throws IOException {
    List<Path> files;
    try (Stream<Path> all = Files.walk(directory)) {
      files = all.filter(Files::isRegularFile).toList();
    }
    for (Path file : files) {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(0);
      } catch (java.nio.file.NoSuchFileException e) {
        // Its store was faster.
      }
    }
  }

  private static void pause(Duration time) {
    boolean _ = await(time.toNanos(), () -> false);
  }

  private static boolean await(long nanos, BooleanSupplier condition) {
    long deadline = System.nanoTime() + nanos;
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadline >= 0) {
        return false;
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
    return true;
  }
}
