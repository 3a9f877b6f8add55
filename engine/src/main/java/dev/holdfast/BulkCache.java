package dev.holdfast;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.RemovalCause;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.StoreClosedException;
import dev.holdfast.pmem.Gateway;
import dev.holdfast.pmem.PmemDevice;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The CACHE volume of a store: a fast device with copies of values that lie in the BULK volume. It
 * is a store by itself, of one leg, in the directory {@code cache}; which of the copies are worth
 * their room, an index in memory knows.
 *
 * <p>A value never changes at its place and no place is used twice, so no copy can be out of date,
 * also not one of a former open. Whatever goes wrong here costs a read from the BULK volume: a copy
 * that is lost is made anew, and with its device the cache is let go of until the next open.
 *
 * <p><b>Threads:</b> any. <b>Source:</b> which copies stay, G. Einziger et al., TinyLFU, ACM TOS
 * 13(4), 2017, as Caffeine has it.
 */
final class BulkCache {
  private static final System.Logger LOG = System.getLogger(Store.class.getName());

  /** The directory, inside that of the store. */
  private static final String DIRECTORY = "cache";

  /** The smallest cache: what a volume needs for itself takes a part of it. */
  static final long LEAST_BYTES = 8L << 20;

  /** What a volume needs for itself. */
  private static final long OWN_BYTES = 3L << 20;

  private static final int PAGE = 4096;

  /** A value that takes more than this part of the cache would drive out too many others. */
  private static final int PART = 8;

  private final String where;
  private final AtomicReference<@Nullable OpenStore> copies = new AtomicReference<>();
  private final Cache<BulkPlace, Integer> index;
  private final long mostPages;
  private final LongAdder hits = new LongAdder();
  private final LongAdder misses = new LongAdder();
  private final LongAdder evictions = new LongAdder();
  private volatile @Nullable String problem;

  private BulkCache(String where, long bytes) {
    this.where = where;
    // A quarter is for what was given up and is not yet free again.
    this.mostPages = (bytes - OWN_BYTES) / PAGE * 3 / 4;
    this.index =
        Caffeine.newBuilder()
            .maximumWeight(mostPages)
            .weigher((BulkPlace _, Integer pages) -> pages)
            .executor(Runnable::run)
            .removalListener((@Nullable BulkPlace place, @Nullable Integer _, RemovalCause cause) ->
                dropped(place, cause))
            .build();
  }

  /**
   * Opens it, or makes it where nothing is; goes without where it cannot be opened.
   *
   * @throws InvalidImageException if at its place is what is no cache of this store
   */
  static BulkCache open(StoreBuilder options, Path file, long bytes) {
    Path directory = options.directory.resolve(DIRECTORY);
    BulkCache cache = new BulkCache(options.directory.toString(), bytes);
    boolean isThere = Files.exists(file) || StoreOpening.isRemoved(file);
    if (!Files.exists(directory.resolve("witness")) && isThere) {
      throw new InvalidImageException(
          file + ": expected a free place for the CACHE volume, was a file");
    }
    try {
      if (!isThere) {
        clear(directory); // Its device is gone, and with it all that these files are about.
      }
      OpenStore opened = StoreOpening.open(options.ofCache(directory, file, bytes));
      cache.copies.set(opened);
      Thread _ =
          Thread.ofPlatform()
              .daemon()
              .name(options.directory + "-cache")
              .start(() -> cache.takeUp(opened));
    } catch (HoldfastException | IOException e) {
      cache.problem =
          "CACHE: cannot be opened, values are read from the BULK volume: " + e.getMessage();
      LOG.log(Level.WARNING, options.directory + ": " + cache.problem);
    }
    return cache;
  }

  private static void clear(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return;
    }
    List<Path> all;
    try (Stream<Path> files = Files.list(directory)) {
      all = files.filter(Files::isRegularFile).toList();
    }
    for (Path each : all) {
      Files.delete(each);
    }
  }

  /** Remembers the copies of a former open. */
  private void takeUp(OpenStore opened) {
    try (Cursor all = opened.cursor(KeyRange.all())) {
      while (true) {
        try {
          if (!all.next()) {
            return;
          }
        } catch (DataLostException e) {
          continue;
        }
        byte[] place = all.key();
        try {
          long length = opened.get(MemorySegment.ofArray(place), MemorySegment.NULL);
          if (length >= 0) {
            index.put(new BulkPlace(place), pages(place, length));
          }
        } catch (DataLostException e) {
          boolean _ = opened.remove(place);
        }
      }
    } catch (HoldfastException e) {
      failed(e);
    }
  }

  private static int pages(byte[] place, long length) {
    return (int) Math.ceilDiv(length + 2L * place.length, PAGE);
  }

  // ---------------------------------------------------------------- copies

  /** A copy of the value at a place; null if there is none. */
  byte @Nullable [] get(byte[] place, long length) {
    OpenStore from = holder(place);
    byte[] value = null;
    try {
      value = from == null ? null : from.get(place);
    } catch (HoldfastException e) {
      failed(e);
    }
    value = value == null || value.length != length ? null : value;
    counted(place, from, value != null);
    return value;
  }

  /** Copies the copy of the value at a place; whether there is one. */
  boolean get(byte[] place, long length, MemorySegment into) {
    byte[] value = get(place, length);
    if (value == null) {
      return false;
    }
    // Not from the device to there: a fault of the caller's memory is none of the cache.
    try {
      MemorySegment.copy(value, 0, into, ValueLayout.JAVA_BYTE, 0, value.length);
      Gateway.barrier();
    } catch (InternalError e) {
      throw new HoldfastException("the memory that was passed in for the value faults", e);
    }
    return true;
  }

  private @Nullable OpenStore holder(byte[] place) {
    OpenStore from = copies.get();
    return from != null && index.getIfPresent(new BulkPlace(place)) != null ? from : null;
  }

  private void counted(byte[] place, @Nullable OpenStore from, boolean found) {
    (found ? hits : misses).increment();
    if (!found && from != null) {
      index.invalidate(new BulkPlace(place)); // Lost, or just driven out.
    }
  }

  /** Whether a copy of a value of some length is wanted. */
  boolean takes(byte[] place, long length) {
    return copies.get() != null && length >= 0 && pages(place, length) <= mostPages / PART;
  }

  /** Takes a copy of a value that was read from the BULK volume. */
  void put(byte[] place, byte[] value) {
    OpenStore to = copies.get();
    int pages = pages(place, value.length);
    if (to == null || !takes(place, value.length)) {
      return;
    }
    try {
      to.put(place, value);
      index.put(new BulkPlace(place), pages);
    } catch (OutOfSpaceException e) {
      // What was driven out is not free yet: another time.
      LOG.log(Level.DEBUG, "no room for a copy", e);
    } catch (HoldfastException e) {
      failed(e);
    }
  }

  /** The value is no more. */
  void forget(byte[] place) {
    index.invalidate(new BulkPlace(place));
  }

  private void dropped(@Nullable BulkPlace place, RemovalCause cause) {
    OpenStore from = copies.get();
    if (place == null || from == null || cause == RemovalCause.REPLACED) {
      return;
    }
    if (cause.wasEvicted()) {
      evictions.increment();
    }
    try {
      boolean _ = from.remove(place.bytes());
    } catch (HoldfastException e) {
      failed(e);
    }
  }

  /** A copy that is lost is one less; anything else ends the cache. */
  private void failed(HoldfastException e) {
    if (e instanceof DataLostException) {
      return;
    }
    OpenStore former = copies.getAndSet(null);
    if (former == null || e instanceof StoreClosedException) {
      return;
    }
    problem = "CACHE: let go of until the next open, nothing is lost: " + e.getMessage();
    LOG.log(Level.WARNING, where + ": " + problem);
    // Not here: who reads a value does not wait for the end of the cache.
    Thread _ = Thread.ofPlatform().daemon().name(where + "-cache-end").start(former::forceClose);
  }

  /** Figures. */
  StoreStats.Cache stats() {
    long[] pages = new long[1];
    index.policy().eviction().ifPresent(policy -> pages[0] = policy.weightedSize().orElse(0));
    return new StoreStats.Cache(
        copies.get() != null,
        problem,
        hits.sum(),
        misses.sum(),
        evictions.sum(),
        index.estimatedSize(),
        pages[0] * PAGE);
  }

  /** The devices, for tests. */
  List<PmemDevice> devices() {
    OpenStore now = copies.get();
    return now == null ? List.of() : now.devices();
  }

  void close() {
    OpenStore former = copies.getAndSet(null);
    if (former != null) {
      former.close();
    }
  }

  void forceClose() {
    OpenStore former = copies.getAndSet(null);
    if (former != null) {
      former.forceClose();
    }
  }
}
