package dev.holdfast;

import dev.holdfast.tree.TreeSnapshot;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** A snapshot that a user holds; what it reads is ended when the user forgets it. */
final class OpenSnapshot implements Snapshot {
  private static final System.Logger LOG = System.getLogger(Snapshot.class.getName());
  private static final Cleaner CLEANER =
      Cleaner.create(Thread.ofPlatform().daemon().name("holdfast-leaks").factory());

  private final TreeSnapshot snapshot;
  private final Cleaner.Cleanable leak;

  OpenSnapshot(TreeSnapshot snapshot, Path store) {
    this.snapshot = snapshot;
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
    try {
      return snapshot.get(key);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    try {
      return snapshot.get(key, into);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public boolean containsKey(byte[] key) {
    try {
      return snapshot.containsKey(key);
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return new RangeCursor(snapshot.scan(), range, false, this);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return new RangeCursor(snapshot.scan(), range, true, this);
  }

  /** Shows the entries of a range, ascending, and no copy of each. */
  RangeVisit visit(KeyRange range) {
    return new RangeVisit(snapshot.scan(), range, false);
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
