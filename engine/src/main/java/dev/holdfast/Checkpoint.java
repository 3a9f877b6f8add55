package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Copies what a snapshot shows to a store of its own: what that has not, or has otherwise, and
 * removes what the snapshot does not show. Both are in order, so that one walk over the two finds
 * the difference.
 */
final class Checkpoint implements EntryVisitor {
  /** About so many bytes are written together. */
  private static final long BATCH_BYTES = 1 << 20;

  /** Values from here on are written by themselves. */
  private static final int LARGE = 1 << 10;

  /** So many entries that need not be written are as good as a batch of them. */
  private static final int TOLD_EVERY = 1 << 14;

  private final CheckpointOptions options;
  private final OpenStore target;
  private final Path place;
  private final long expected;
  private final WriteBatch batch = new WriteBatch();
  private long entries;
  private long bytes;
  private long written;
  private long removed;
  private boolean lossy;

  /** Where what is visited goes, and what is there. */
  private MapHome into;

  private CheckpointBase base;

  private Checkpoint(CheckpointOptions options, OpenStore target, Path place, long expected) {
    this.options = options;
    this.target = target;
    this.expected = expected;
    this.into = target.home();
    this.place = place;
    this.base = new CheckpointBase(into, place);
  }

  static CheckpointReport make(OpenStore store, Path directory, CheckpointOptions options) {
    try (CheckpointPlace place = CheckpointPlace.begin(store, directory, options);
        OpenSnapshot snapshot = store.snapshot()) {
      CheckpointReport report;
      try (OpenStore target = place.open(options.mirror)) {
        Checkpoint copy =
            new Checkpoint(options, target, place.place(), store.home().tree().entries());
        copy.run(snapshot);
        report =
            new CheckpointReport(
                place.place(),
                snapshot.takenAt(),
                snapshot.sequence(),
                copy.entries,
                copy.bytes,
                copy.written,
                copy.removed,
                copy.lossy ? store.health().lost() : List.of());
      }
      place.finish(store, snapshot.sequence());
      return report;
    }
  }

  private void run(OpenSnapshot snapshot) {
    copy(snapshot, OpenStore.OWN);
    List<String> names = snapshot.mapNames();
    for (String name : target.mapNames()) {
      if (!names.contains(name)) {
        boolean _ = target.dropMap(name);
      }
    }
    target.awaitCleared(); // So that their numbers are free.
    for (String name : names) {
      MapDirectory.Listing listing = snapshot.listing(name);
      if (listing != null) {
        OpenMap map = target.mapLike(name, listing);
        into = map.home();
        base = new CheckpointBase(into, place);
        copy(snapshot, listing.number());
      }
    }
    target.awaitCleared();
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
    for (byte @Nullable [] gone = base.rest(); gone != null; gone = base.rest()) {
      remove(gone);
    }
    write();
  }

  @Override
  public boolean visit(
      byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
    byte @Nullable [] gone = base.below(keys, keyAt, keyLength);
    while (gone != null) {
      remove(gone);
      gone = base.below(keys, keyAt, keyLength);
    }
    if (!base.has(keys, keyAt, keyLength, values, valueAt, valueLength)) {
      put(
          MemorySegment.ofArray(keys).asSlice(keyAt, keyLength),
          MemorySegment.ofArray(values).asSlice(valueAt, valueLength));
    }
    entries++;
    bytes += keyLength + valueLength;
    if (batch.bytes() >= BATCH_BYTES || valueLength >= BATCH_BYTES || entries % TOLD_EVERY == 0) {
      write();
    }
    return true;
  }

  private void put(MemorySegment key, MemorySegment value) {
    if (value.byteSize() >= LARGE) {
      into.tree().put(into.number(), key, value, PersistenceMode.PROCESS);
    } else {
      batch.putStored(into, key, value);
    }
    written++;
  }

  private void remove(byte[] key) {
    batch.remove(into, key);
    removed++;
    if (batch.bytes() >= BATCH_BYTES) {
      write();
    }
  }

  private void write() {
    target.write(batch);
    batch.clear();
    options.progress.accept(new CheckpointProgress(entries, expected, bytes));
  }
}
