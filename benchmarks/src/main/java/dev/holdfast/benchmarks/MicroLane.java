package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.Access;
import dev.holdfast.benchmarks.contender.Contender;
import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.benchmarks.contender.ScanCheck;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * One thread's part of what is measured. The keys of a slice are made before it begins, in the
 * order in which they are needed, so that it costs little to come by the next one; every answer is
 * checked.
 *
 * <p><b>Threads:</b> the one that made it.
 */
final class MicroLane implements AutoCloseable {
  private static final long SCATTER = 2_654_435_761L;
  private static final int CHECKED = 200;

  private final MicroStore store;
  private final KeyKind kind;
  private final int keyLength;
  private final Access access;
  private final MicroWalk walk;
  private final SplittableRandom random;
  private final byte[] value = new byte[Entries.VALUE_LENGTH];
  private byte[] keys = new byte[0];
  private int count;

  MicroLane(MicroStore store, Contender contender, MicroWalk walk, long seed) {
    this.store = store;
    this.kind = store.keys();
    this.keyLength = kind.length();
    this.access = contender.access();
    this.walk = walk;
    this.random = new SplittableRandom(seed);
  }

  private void room(int wanted) {
    count = wanted;
    int length = wanted * keyLength;
    if (keys.length < length) {
      keys = new byte[length];
    }
  }

  private void key(int at, int id) {
    Entries.key(kind, id, keys, at * keyLength);
  }

  /** Prepares keys that are all as likely. */
  void chooseUniform(int wanted) {
    room(wanted);
    for (int i = 0; i < wanted; i++) {
      key(i, store.id(random.nextInt(store.entries())));
    }
  }

  /** Prepares keys of which few are met often. */
  void chooseZipf(int wanted) {
    room(wanted);
    Zipf zipf = walk.zipf();
    for (int i = 0; i < wanted; i++) {
      // What was loaded first is not what is met most often.
      key(i, store.id((int) (zipf.next(random) * SCATTER % store.entries())));
    }
  }

  /** Prepares the keys that come next in order; behind the last one comes the first. */
  void chooseInOrder(int wanted) {
    room(wanted);
    for (int i = 0; i < wanted; i++) {
      key(i, walk.next());
    }
  }

  /** Prepares the keys that are loaded next. */
  void chooseLoaded(int from, int wanted) {
    room(wanted);
    for (int i = 0; i < wanted; i++) {
      key(i, store.id(from + i));
    }
  }

  int count() {
    return count;
  }

  byte[] keys() {
    return keys;
  }

  private long tag(int offset) {
    return Entries.tag(Entries.high(kind, keys, offset), Entries.low(kind, keys, offset));
  }

  /** Writes the value of the key at an offset into the buffer that it returns. */
  byte[] value(int offset, long version) {
    Entries.value(tag(offset), version, value, 0);
    return value;
  }

  /** Before {@link #gets} and scans; not measured. */
  void beginReads() {
    access.beginReads();
  }

  /** After {@link #gets} and scans; not measured. */
  void endReads() {
    access.endReads();
  }

  /** Gets all prepared keys; returns how many were not there or wrong. */
  long gets(long highestVersion) {
    long wrong = 0;
    int end = count * keyLength;
    for (int offset = 0; offset < end; offset += keyLength) {
      long version = Entries.version(tag(offset), access.get(keys, offset));
      if (version < 0 || version > highestVersion) {
        wrong++;
      }
    }
    return wrong;
  }

  /** Puts all prepared keys. */
  void puts(long version) {
    int end = count * keyLength;
    for (int offset = 0; offset < end; offset += keyLength) {
      access.put(keys, offset, value(offset, version), 0);
    }
  }

  /** How many of the prepared keys do not have the version, of some of them; not measured. */
  long wrongPuts(long version) {
    long wrong = 0;
    int step = Math.max(1, count / CHECKED);
    access.beginReads();
    for (int i = 0; i < count; i += step) {
      int offset = i * keyLength;
      if (Entries.version(tag(offset), access.get(keys, offset)) != version) {
        wrong++;
      }
    }
    access.endReads();
    return wrong;
  }

  /** Scans; returns how many entries were wrong or missing. */
  long scan(boolean reverse, int limit) {
    ScanCheck check = new ScanCheck(reverse);
    access.scan(reverse, limit, check);
    return check.wrong() + Math.abs(limit - check.entries());
  }

  @Override
  public void close() {
    access.close();
  }

  /** Where in the order of its keys a lane is. */
  static final class MicroWalk {
    private final MicroStore store;
    private int[] sorted = new int[0];
    private Zipf zipf = new Zipf(3);
    private int at;

    MicroWalk(MicroStore store) {
      this.store = store;
    }

    int next() {
      if (sorted.length == 0) {
        sorted = new int[store.entries()];
        Arrays.setAll(sorted, store::id);
        Arrays.sort(sorted);
      }
      int id = sorted[at];
      at = at + 1 == sorted.length ? 0 : at + 1;
      return id;
    }

    Zipf zipf() {
      if (zipf.count() != store.entries()) {
        zipf = new Zipf(store.entries());
      }
      return zipf;
    }
  }
}
