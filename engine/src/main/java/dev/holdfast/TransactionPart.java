package dev.holdfast;

import dev.holdfast.error.ConflictException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * One map within a transaction: what was read of it, and what is to be written, as it is stored.
 */
final class TransactionPart implements TransactionMap {
  private final OpenTransaction transaction;
  private final OpenMap map;
  private final SnapshotMap then;

  /** A null value removes the key. */
  private final NavigableMap<byte[], byte @Nullable []> written =
      new TreeMap<>(Arrays::compareUnsigned);

  private final TreeSet<byte[]> keysRead = new TreeSet<>(Arrays::compareUnsigned);
  private final List<TransactionCursor> walks = new ArrayList<>();

  /**
   * @param map the map
   * @param then what it held when the transaction began
   */
  TransactionPart(OpenTransaction transaction, OpenMap map, SnapshotMap then) {
    this.transaction = transaction;
    this.map = map;
    this.then = then;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    transaction.requireGoing();
    if (written.containsKey(key)) {
      byte[] own = written.get(key);
      return own == null ? null : own.clone();
    }
    byte[] value = then.get(key);
    keysRead.add(key.clone());
    return value;
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    byte[] value = get(key.toArray(ValueLayout.JAVA_BYTE));
    if (value == null) {
      return -1;
    }
    if (value.length <= into.byteSize()) {
      MemorySegment.copy(value, 0, into, ValueLayout.JAVA_BYTE, 0, value.length);
    }
    return value.length;
  }

  @Override
  public boolean containsKey(byte[] key) {
    return get(key) != null;
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return walk(range, false);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return walk(range, true);
  }

  private Cursor walk(KeyRange range, boolean reverse) {
    transaction.requireGoing();
    TransactionCursor walk =
        new TransactionCursor(
            reverse ? then.reverseCursor(range) : then.cursor(range), written, range, reverse);
    walks.add(walk);
    return walk;
  }

  @Override
  public void put(byte[] key, byte[] value) {
    transaction.requireGoing();
    requireLength("key", key.length, 1, Store.MAX_KEY_LENGTH);
    requireLength("value", value.length, 0, Store.MAX_VALUE_LENGTH);
    written.put(key.clone(), value.clone());
  }

  @Override
  public void remove(byte[] key) {
    transaction.requireGoing();
    requireLength("key", key.length, 1, Store.MAX_KEY_LENGTH);
    written.put(key.clone(), null);
  }

  private static void requireLength(String what, int length, int least, int most) {
    if (length < least || length > most) {
      throw new IllegalArgumentException(
          what + ": expected " + least + " to " + most + " bytes, was " + length);
    }
  }

  // ---------------------------------------------------------------- for the commit

  /** Adds what was written to a batch. */
  void addTo(WriteBatch batch) {
    MapHome home = map.home();
    written.forEach((key, value) -> {
      if (value == null) {
        batch.remove(home, key);
      } else {
        batch.putStored(home, MemorySegment.ofArray(key), MemorySegment.ofArray(value));
      }
    });
  }

  /** Adds the keys that were read, with the number of the map in front. */
  void addKeysReadTo(List<byte[]> keys) {
    for (byte[] key : keysRead) {
      byte[] stored = new byte[1 + key.length];
      stored[0] = (byte) map.home().number();
      System.arraycopy(key, 0, stored, 1, key.length);
      keys.add(stored);
    }
  }

  /** Whether more was read than keys. */
  boolean hasWalked() {
    return walks.stream().anyMatch(walk -> !walk.seen().isEmpty());
  }

  /**
   * Looks whether all that was read still is so.
   *
   * @throws ConflictException if not
   */
  void check() {
    ReadableMap present = map.raw();
    for (byte[] key : keysRead) {
      if (!isAsItWas(key, present)) {
        throw new ConflictException(
            "transaction: a key of " + key.length + " bytes that was read has another value");
      }
    }
    for (TransactionCursor walk : walks) {
      walk.seen().forEach(range -> check(range, present));
    }
  }

  /** Other writers of the key wait for this: so no value is read that lies in the BULK volume. */
  private boolean isAsItWas(byte[] key, ReadableMap present) {
    MapHome home = map.home();
    if (!home.tree().hasBulk()) {
      return Arrays.equals(then.get(key), present.get(key));
    }
    byte[] before = then.bulkPlace(key);
    byte[] now = home.tree().bulkPlace(home.number(), key);
    // A place is used once.
    return (before == null && now == null)
        ? Arrays.equals(then.get(key), present.get(key))
        : Arrays.equals(before, now);
  }

  private void check(KeyRange range, ReadableMap present) {
    try (Cursor before = then.cursor(range);
        Cursor now = present.cursor(range)) {
      boolean more;
      do {
        more = before.next();
        if (more != now.next()
            || (more
                && !(Arrays.equals(before.key(), now.key())
                    && Arrays.equals(before.value(), now.value())))) {
          throw new ConflictException("transaction: a range that was read holds something else");
        }
      } while (more);
    }
  }

  void close() {
    walks.forEach(TransactionCursor::close);
  }
}
