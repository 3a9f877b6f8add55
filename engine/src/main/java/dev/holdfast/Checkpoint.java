package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.DurableFile;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Copies what a snapshot shows to a store of its own.
 *
 * <p>It is made in a directory beside the one that was asked for, and gets its name once all of it
 * is on the medium: what has the name is whole.
 */
final class Checkpoint implements EntryVisitor {
  /** About so many bytes are written together. */
  private static final long BATCH_BYTES = 1 << 20;

  /** Values from here on are written by themselves. */
  private static final int LARGE = 1 << 10;

  private final CheckpointOptions options;
  private final OpenStore target;
  private final long expected;
  private final WriteBatch batch = new WriteBatch();
  private long entries;
  private long bytes;
  private boolean lossy;

  /** Where what is visited goes. */
  private MapHome into;

  private Checkpoint(CheckpointOptions options, OpenStore target, long expected) {
    this.options = options;
    this.target = target;
    this.expected = expected;
    this.into = target.home();
  }

  static CheckpointReport make(OpenStore store, Path directory, CheckpointOptions options) {
    Path place = directory.toAbsolutePath().normalize();
    Path parent = place.getParent();
    Path name = place.getFileName();
    requireNothingAt(place);
    if (parent == null || name == null || !Files.isDirectory(parent)) {
      throw new IllegalArgumentException(
          directory + ": expected a place in a directory that is there, was none");
    }
    try (OpenSnapshot snapshot = store.snapshot()) {
      Path making;
      try {
        making = Files.createTempDirectory(parent, name + ".unfinished-");
      } catch (IOException e) {
        throw new DeviceIoException(place + ": the checkpoint cannot be made: " + e, e);
      }
      boolean made = false;
      try {
        CheckpointReport report = fill(store, snapshot, making, place, options);
        sync(making);
        requireNothingAt(place);
        Files.move(making, place, StandardCopyOption.ATOMIC_MOVE);
        made = true;
        DurableFile.syncDirectory(place);
        return report;
      } catch (IOException e) {
        throw new DeviceIoException(place + ": the checkpoint cannot be made: " + e, e);
      } finally {
        if (!made) {
          remove(making);
        }
      }
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

  private static CheckpointReport fill(
      OpenStore store, OpenSnapshot snapshot, Path making, Path place, CheckpointOptions options) {
    StoreBuilder builder =
        Store.builder(making)
            .persistence(PersistenceMode.PROCESS)
            .heartbeat(Duration.ZERO)
            .scrubEvery(Duration.ZERO)
            .packColdLeavesAfter(Duration.ZERO);
    builder = options.mirror ? builder.mirror() : builder.single();
    try (OpenStore target = StoreOpening.open(builder)) {
      Checkpoint copy = new Checkpoint(options, target, store.stats().entries());
      copy.run(snapshot);
      return new CheckpointReport(
          place,
          snapshot.takenAt(),
          snapshot.sequence(),
          copy.entries,
          copy.bytes,
          copy.lossy ? store.health().lost() : List.of());
    }
  }

  private void run(OpenSnapshot snapshot) {
    copy(snapshot, OpenStore.OWN);
    for (String name : snapshot.mapNames()) {
      MapDirectory.Listing listing = snapshot.listing(name);
      if (listing != null) {
        OpenMap map = target.mapLike(name, listing);
        into = map.home();
        copy(snapshot, listing.number());
      }
    }
  }

  private void copy(OpenSnapshot snapshot, int number) {
    RangeVisit visit = snapshot.visit(number);
    while (true) {
      try {
        long _ = visit.show(this);
        break;
      } catch (DataLostException e) {
        if (!options.leaveOutLost) {
          throw e;
        }
        lossy = true; // The next look goes on behind it.
      }
    }
    write();
  }

  @Override
  public boolean visit(
      byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
    MemorySegment key = MemorySegment.ofArray(keys).asSlice(keyAt, keyLength);
    MemorySegment value = MemorySegment.ofArray(values).asSlice(valueAt, valueLength);
    if (valueLength >= LARGE) {
      into.tree().put(into.number(), key, value, PersistenceMode.PROCESS);
    } else {
      batch.putStored(into, key, value);
    }
    entries++;
    bytes += keyLength + valueLength;
    if (batch.bytes() >= BATCH_BYTES || valueLength >= BATCH_BYTES) {
      write();
    }
    return true;
  }

  private void write() {
    target.write(batch);
    batch.clear();
    options.progress.accept(new CheckpointProgress(entries, expected, bytes));
  }

  /** Has all of it on the medium. */
  private static void sync(Path directory) throws IOException {
    for (Path file : files(directory)) {
      // No channel: an interrupt would close it.
      try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
        open.getFD().sync();
      }
      DurableFile.syncDirectory(file);
    }
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.toList();
    }
  }

  private static void remove(Path directory) {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        boolean _ = Files.deleteIfExists(each);
      }
    } catch (IOException e) {
      System.getLogger(Store.class.getName())
          .log(
              System.Logger.Level.WARNING,
              directory + ": an unfinished checkpoint cannot be removed: remove it",
              e);
    }
  }
}
