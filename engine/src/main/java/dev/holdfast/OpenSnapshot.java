package dev.holdfast;

import dev.holdfast.tree.TreeSnapshot;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A snapshot that a user holds; what it reads is ended when the user forgets it. */
final class OpenSnapshot implements Snapshot {
  private static final System.Logger LOG = System.getLogger(Snapshot.class.getName());
  private static final Cleaner CLEANER =
      Cleaner.create(Thread.ofPlatform().daemon().name("holdfast-leaks").factory());

  /** What is said of dropped maps is up to here in the directory. */
  private static final byte[] DROPPED = {0, (byte) 0xff};

  private final TreeSnapshot snapshot;

  /** When it was taken, by the clock by which entries expire. */
  private final long then;

  private final Cleaner.Cleanable leak;

  OpenSnapshot(TreeSnapshot snapshot, Path store, long then) {
    this.snapshot = snapshot;
    this.then = then;
    this.leak = CLEANER.register(this, new Leak(snapshot, store));
  }

  /** What is done once, at the latest when nobody can reach the snapshot any more. */
  private record Leak(TreeSnapshot snapshot, Path store) implements Runnable {
    @Override
    public void run() {
      if (snapshot.isOpen()) {
        LOG.log(
            Level.WARNING,
            store
                + ": the snapshot that was taken at "
                + snapshot.takenAt()
                + " (sequence "
                + snapshot.sequence()
                + ") was never closed; it ends now that nobody can reach it");
      }
      snapshot.close();
    }
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return get(OpenStore.OWN, key);
  }

  byte @Nullable [] bulkPlace(int number, byte[] key) {
    try {
      return snapshot.bulkPlace(number, key);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  byte @Nullable [] get(int number, byte[] key) {
    try {
      return snapshot.get(number, key);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return get(OpenStore.OWN, key, into);
  }

  long get(int number, MemorySegment key, MemorySegment into) {
    try {
      return snapshot.get(number, key, into);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public boolean containsKey(byte[] key) {
    return containsKey(OpenStore.OWN, key);
  }

  boolean containsKey(int number, byte[] key) {
    try {
      return snapshot.containsKey(number, key);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return walk(OpenStore.OWN, range, false);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return walk(OpenStore.OWN, range, true);
  }

  Cursor walk(int number, KeyRange range, boolean reverse) {
    return new RangeCursor(snapshot.scan(number), range, reverse, this, null);
  }

  /** Shows the entries of a map as they are stored, ascending, and no copy of each. */
  RangeVisit visit(int number) {
    return new RangeVisit(snapshot.scan(number), KeyRange.all(), false, null);
  }

  long then() {
    return then;
  }

  @Override
  public @Nullable ReadableMap map(String name) {
    MapDirectory.Listing listing = listing(name);
    return listing == null ? null : mapOf(listing);
  }

  /** What the directory said of a name; null if it did not have it. */
  MapDirectory.@Nullable Listing listing(String name) {
    byte[] entry = get(MapDirectory.NUMBER, MapDirectory.bytes(name));
    return entry == null ? null : MapDirectory.decode(entry);
  }

  ReadableMap mapOf(MapDirectory.Listing listing) {
    SnapshotMap stored = new SnapshotMap(this, listing.number(), true);
    if (listing.kind() == MapDirectory.Kind.PLAIN) {
      return stored;
    }
    return new ExpiringView(stored, () -> then);
  }

  @Override
  public List<String> mapNames() {
    List<String> names = new ArrayList<>();
    try (Cursor cursor = walk(MapDirectory.NUMBER, KeyRange.greaterThan(DROPPED), false)) {
      while (cursor.next()) {
        names.add(new String(cursor.key(), StandardCharsets.UTF_8));
      }
    }
    Collections.sort(names);
    return names;
  }

  @Override
  public long sequence() {
    return snapshot.sequence();
  }

  @Override
  public Instant takenAt() {
    return snapshot.takenAt();
  }

  @Override
  public void close() {
    snapshot.close();
    leak.clean();
  }
}
