package dev.holdfast;

import dev.holdfast.async.WriteRing;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.Tree;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The asynchronous writes of a store that is open, through a {@link WriteRing} that is made when
 * the first of them comes.
 *
 * <p>Where durable takes an msync each is stored as if for less, and the ring waits for one commit
 * behind all that it found.
 */
final class RingWrites implements AsyncWrites {
  /** What a write takes beside its bytes, about. */
  private static final int OVERHEAD = 64;

  private final Tree tree;
  private final String name;
  private final WriteRing.Settings settings;
  private final PersistenceMode mode;
  private final boolean commits;
  private final ReentrantLock making = new ReentrantLock();

  private volatile @Nullable WriteRing ring;

  /** Guarded by {@code making}. */
  private boolean ended;

  /**
   * @param name what the name of its thread begins with
   * @param mode how far an acknowledged write comes
   */
  RingWrites(Tree tree, String name, WriteRing.Settings settings, PersistenceMode mode) {
    this.tree = tree;
    this.name = name;
    this.settings = settings;
    this.commits = mode == PersistenceMode.FILE;
    this.mode = commits ? PersistenceMode.PROCESS : mode;
  }

  private WriteRing ring() {
    WriteRing made = ring;
    if (made != null) {
      return made;
    }
    making.lock();
    try {
      made = ring;
      if (made == null) {
        if (ended) {
          throw new StoreClosedException(name + ": the store is closed");
        }
        made =
            new WriteRing(name, settings, commits ? () -> tree.sync(PersistenceMode.FILE) : null);
        ring = made;
      }
      return made;
    } finally {
      making.unlock();
    }
  }

  @Override
  public CompletableFuture<Void> put(byte[] key, byte[] value) {
    return ring().submit(putting(key, value), bytes(key, value));
  }

  @Override
  public Optional<CompletableFuture<Void>> tryPut(byte[] key, byte[] value) {
    return ring().trySubmit(putting(key, value), bytes(key, value));
  }

  @Override
  public CompletableFuture<Boolean> remove(byte[] key) {
    return ring().submit(removing(key), bytes(key, key));
  }

  @Override
  public Optional<CompletableFuture<Boolean>> tryRemove(byte[] key) {
    return ring().trySubmit(removing(key), bytes(key, key));
  }

  @Override
  public CompletableFuture<Void> write(WriteBatch batch) {
    WriteRing open = ring();
    BatchWrite write = new BatchWrite(batch);
    boolean taken = false;
    try {
      CompletableFuture<Void> future = open.submit(write, batch.bytes() + OVERHEAD);
      taken = true;
      return future;
    } finally {
      if (!taken) {
        write.release();
      }
    }
  }

  @Override
  public Optional<CompletableFuture<Void>> tryWrite(WriteBatch batch) {
    WriteRing open = ring();
    BatchWrite write = new BatchWrite(batch);
    boolean taken = false;
    try {
      Optional<CompletableFuture<Void>> future = open.trySubmit(write, batch.bytes() + OVERHEAD);
      taken = future.isPresent();
      return future;
    } finally {
      if (!taken) {
        write.release();
      }
    }
  }

  private static long bytes(byte[] key, byte[] value) {
    return (long) key.length + value.length + OVERHEAD;
  }

  @SuppressWarnings("NullAway") // A Void is null.
  private WriteRing.Write<Void> putting(byte[] key, byte[] value) {
    byte[] ownKey = checked(key);
    byte[] ownValue = value.clone();
    return () -> {
      boolean _ = tree.put(OpenStore.OWN, ownKey, ownValue, Tree.Condition.ANY, null, mode);
      return null;
    };
  }

  private WriteRing.Write<Boolean> removing(byte[] key) {
    byte[] own = checked(key);
    return () -> tree.remove(OpenStore.OWN, own, null, mode);
  }

  /** Who passes what cannot be stored is told at once. */
  private static byte[] checked(byte[] key) {
    if (key.length == 0 || key.length > Store.MAX_KEY_LENGTH) {
      throw new IllegalArgumentException(
          "key: expected 1 to " + Store.MAX_KEY_LENGTH + " bytes, was " + key.length);
    }
    return key.clone();
  }

  /** A batch, which is as good as being written from now on. */
  private final class BatchWrite implements WriteRing.Write<Void> {
    private final WriteBatch batch;

    BatchWrite(WriteBatch batch) {
      this.batch = batch;
      batch.begin();
    }

    @Override
    @SuppressWarnings("NullAway") // A Void is null.
    public Void store() {
      batch.write(tree, mode, null);
      return null;
    }

    @Override
    public void release() {
      batch.end();
    }
  }

  /**
   * Takes nothing more, and completes what was taken as long as that makes sense.
   *
   * @param nanos how long at most
   * @param hopeless whether there is nothing to wait for
   */
  void drain(long nanos, BooleanSupplier hopeless) {
    WriteRing open = endMaking();
    if (open != null) {
      open.drain(nanos, hopeless);
      open.end();
      open.join();
    }
  }

  /** Ends at once: what is left is told that the store is closed. */
  void end() {
    WriteRing open = endMaking();
    if (open != null) {
      open.end();
    }
  }

  private @Nullable WriteRing endMaking() {
    making.lock();
    try {
      ended = true;
      return ring;
    } finally {
      making.unlock();
    }
  }
}
