package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Where a checkpoint is wanted, and the directory beside it in which it is made.
 *
 * <p>It gets its name once all of it is on the medium: what has the name is whole. An earlier one
 * is never changed: a copy of it is, and the two change places.
 */
final class CheckpointPlace implements AutoCloseable {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());
  private static final String LOCK = "lock";

  private final Path place;
  private final Path making;

  /** Has the earlier checkpoint, so that nobody opens it meanwhile; null if there is none. */
  private final @Nullable StoreFiles earlier;

  /** What is to be removed in the end: what was not finished, or the earlier one. */
  private @Nullable Path leftOver;

  private CheckpointPlace(Path place, Path making, @Nullable StoreFiles earlier) {
    this.place = place;
    this.making = making;
    this.earlier = earlier;
    this.leftOver = making;
  }

  /**
   * Begins to make one.
   *
   * @throws IllegalArgumentException if something is there that is not to be changed
   */
  static CheckpointPlace begin(OpenStore store, Path directory, CheckpointOptions options) {
    Path place = directory.toAbsolutePath().normalize();
    Path parent = place.getParent();
    Path name = place.getFileName();
    if (options.update && parent != null && name != null) {
      putBack(store, place);
    }
    boolean updates = options.update && Files.exists(place, LinkOption.NOFOLLOW_LINKS);
    if (!updates) {
      requireNothingAt(place);
    }
    if (parent == null || name == null || !Files.isDirectory(parent)) {
      throw new IllegalArgumentException(
          directory + ": expected a place in a directory that is there, was none");
    }
    if (updates && options.leaveOutLost) {
      throw new IllegalArgumentException(
          place
              + ": expected a place where nothing is, as what is lost is left out: the checkpoint"
              + " that is there may have the last copy of it");
    }
    StoreFiles earlier = updates ? takeEarlier(store, place) : null;
    CheckpointPlace begun = null;
    boolean ready = false;
    try {
      Path making = Files.createTempDirectory(parent, name + ".unfinished-");
      begun = new CheckpointPlace(place, making, earlier);
      if (earlier != null) {
        begun.copyEarlier();
      }
      ready = true;
      return begun;
    } catch (IOException e) {
      throw failed(place, e);
    } finally {
      if (!ready && begun != null) {
        begun.close();
      } else if (!ready && earlier != null) {
        earlier.close();
      }
    }
  }

  /** Puts an earlier checkpoint back that a crash left where an update had moved it. */
  private static void putBack(OpenStore store, Path place) {
    Path aside = DurableFile.aside(place);
    if (!Files.exists(aside, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
      throw new IllegalArgumentException(
          aside
              + ": expected nothing, was what an update left that did not end: the checkpoint that"
              + " it made is at "
              + place
              + "; look at that, and remove the former one");
    }
    requireOf(store, aside);
    try {
      Files.move(aside, place, StandardCopyOption.ATOMIC_MOVE);
      DurableFile.syncDirectory(place);
    } catch (IOException e) {
      throw failed(place, e);
    }
  }

  private static void requireNothingAt(Path place) {
    if (Files.exists(place, LinkOption.NOFOLLOW_LINKS)) {
      throw new IllegalArgumentException(
          place
              + ": expected nothing to be there, was "
              + (Files.isDirectory(place) ? "a directory" : "a file"));
    }
  }

  /** Takes the checkpoint that is there, if it is one of this store. */
  private static StoreFiles takeEarlier(OpenStore store, Path place) {
    requireOf(store, place);
    return StoreFiles.take(place);
  }

  private static void requireOf(OpenStore store, Path place) {
    CheckpointMark mark;
    try {
      mark =
          Files.isDirectory(place, LinkOption.NOFOLLOW_LINKS) ? CheckpointMark.read(place) : null;
    } catch (IOException e) {
      throw failed(place, e);
    }
    if (mark == null) {
      throw new IllegalArgumentException(
          place + ": expected nothing, or a checkpoint of this store, was something else");
    }
    if (!mark.of().equals(store.id())) {
      throw new IllegalArgumentException(
          place
              + ": expected a checkpoint of this store, "
              + store.id()
              + ", was one of "
              + mark.of());
    }
  }

  private void copyEarlier() throws IOException {
    for (Path file : files(place)) {
      String name = file.getFileName().toString();
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        throw new IllegalArgumentException(
            file + ": expected a file of a checkpoint, was something else");
      }
      if (!name.equals(LOCK)) {
        Path _ = Files.copy(file, making.resolve(name)); // Shares extents where it can.
      }
    }
    requireAsItWasMade();
  }

  /** That nobody wrote to the earlier one. It is opened to be read, so that nothing does. */
  private void requireAsItWasMade() throws IOException {
    CheckpointMark mark = CheckpointMark.read(making);
    try (OpenStore opened = StoreOpening.open(builder().readOnly())) {
      if (mark == null || opened.lastSequence() != mark.last()) {
        throw new IllegalArgumentException(
            place
                + ": expected the checkpoint as it was made, was opened since to be written to, as"
                + " a store of its own: make one elsewhere");
      }
      for (StoreHealth.Leg leg : opened.health().legs()) {
        if (leg.state() != LegState.ONLINE) {
          throw new DeviceOfflineException(
              place
                  + ": expected all legs of the checkpoint, was leg "
                  + leg.index()
                  + " "
                  + leg.state()
                  + ": make one elsewhere");
        }
      }
    }
  }

  private StoreBuilder builder() {
    return Store.builder(making)
        .persistence(PersistenceMode.PROCESS)
        .heartbeat(Duration.ZERO)
        .scrubEvery(Duration.ZERO)
        .sweepExpiredEvery(Duration.ZERO)
        .packColdLeavesAfter(Duration.ZERO);
  }

  /** Opens the store that becomes the checkpoint. */
  OpenStore open(boolean mirror) {
    if (earlier != null) {
      return StoreOpening.open(builder());
    }
    return StoreOpening.open(mirror ? builder().mirror() : builder().single());
  }

  /** Where it will be. */
  Path place() {
    return place;
  }

  /** Gives what was made its name, once all of it is on the medium. */
  void finish(OpenStore store, long sequence) {
    try {
      new CheckpointMark(store.id(), sequence, lastOf()).write(making);
      for (Path file : files(making)) {
        // No channel: an interrupt would close it.
        try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
          open.getFD().sync();
        }
        DurableFile.syncDirectory(file);
      }
      if (earlier == null) {
        requireNothingAt(place);
        Files.move(making, place, StandardCopyOption.ATOMIC_MOVE);
        leftOver = null;
        DurableFile.syncDirectory(place);
      } else {
        Files.setPosixFilePermissions(making, Files.getPosixFilePermissions(place));
        Path former = DurableFile.exchange(making, place);
        leftOver = null; // The earlier one stays until it is certain that it is not needed.
        DurableFile.syncDirectory(place);
        leftOver = former;
      }
    } catch (IOException e) {
      throw failed(place, e);
    }
  }

  /** The number of the last write to what was made, which is closed. */
  private long lastOf() {
    try (OpenStore made = StoreOpening.open(builder().readOnly())) {
      return made.lastSequence();
    }
  }

  private static DeviceIoException failed(Path place, IOException e) {
    return new DeviceIoException(place + ": the checkpoint cannot be made: " + e, e);
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** Removes what was not finished, or the earlier one that is not needed any more. */
  @Override
  public void close() {
    try {
      Path unwanted = leftOver;
      if (unwanted != null) {
        remove(unwanted);
      }
    } finally {
      if (earlier != null) {
        earlier.close();
      }
    }
  }

  private static void remove(Path directory) {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        boolean _ = Files.deleteIfExists(each);
      }
    } catch (IOException | UncheckedIOException e) {
      LOG.log(
          System.Logger.Level.WARNING,
          directory + ": what is left of a checkpoint cannot be removed: remove it",
          e);
    }
  }
}
