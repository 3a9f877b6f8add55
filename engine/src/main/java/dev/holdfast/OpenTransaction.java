package dev.holdfast;

import dev.holdfast.error.ConflictException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.ReadGuard;
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
 * A transaction that goes on: a snapshot, what was read of it, and what is to be written.
 *
 * <p>The commit is a batch with a {@link ReadGuard}. Behind the guard no writer is at a key that
 * was read, so what the store holds there is what it will hold when the batch shows; if that is
 * what the snapshot holds, all reads are as good as if they had been made then.
 */
final class OpenTransaction implements Transaction {
  private final OpenStore store;
  private final Snapshot snapshot;

  /** A null value removes the key. */
  private final NavigableMap<byte[], byte @Nullable []> written =
      new TreeMap<>(Arrays::compareUnsigned);

  private final TreeSet<byte[]> keysRead = new TreeSet<>(Arrays::compareUnsigned);
  private final List<TransactionCursor> walks = new ArrayList<>();
  private boolean ended;

  OpenTransaction(OpenStore store) {
    this.store = store;
    this.snapshot = store.snapshot();
  }

  private void requireGoing() {
    if (ended) {
      throw new IllegalStateException("transaction: expected one that goes on, has ended");
    }
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    requireGoing();
    if (written.containsKey(key)) {
      byte[] own = written.get(key);
      return own == null ? null : own.clone();
    }
    byte[] value = snapshot.get(key);
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
    requireGoing();
    TransactionCursor walk =
        new TransactionCursor(
            reverse ? snapshot.reverseCursor(range) : snapshot.cursor(range),
            written,
            range,
            reverse);
    walks.add(walk);
    return walk;
  }

  @Override
  public void put(byte[] key, byte[] value) {
    requireGoing();
    requireLength("key", key.length, 1, Store.MAX_KEY_LENGTH);
    requireLength("value", value.length, 0, Store.MAX_VALUE_LENGTH);
    written.put(key.clone(), value.clone());
  }

  @Override
  public void remove(byte[] key) {
    requireGoing();
    requireLength("key", key.length, 1, Store.MAX_KEY_LENGTH);
    written.put(key.clone(), null);
  }

  private static void requireLength(String what, int length, int least, int most) {
    if (length < least || length > most) {
      throw new IllegalArgumentException(
          what + ": expected " + least + " to " + most + " bytes, was " + length);
    }
  }

  @Override
  public void commit() {
    commit(store.persistence());
  }

  @Override
  public void commit(PersistenceMode mode) {
    requireGoing();
    ended = true;
    try {
      if (!written.isEmpty()) {
        WriteBatch batch = new WriteBatch();
        written.forEach((key, value) -> {
          if (value == null) {
            batch.remove(key);
          } else {
            batch.put(key, value);
          }
        });
        store.write(batch, mode, guard());
      } else if (guard() != null) {
        store.sync(mode); // What was read may not be durable yet.
      }
    } finally {
      snapshot.close();
    }
  }

  private @Nullable ReadGuard guard() {
    List<KeyRange> ranges = walks.stream().flatMap(walk -> walk.seen().stream()).toList();
    if (keysRead.isEmpty() && ranges.isEmpty()) {
      return null;
    }
    return new ReadGuard(List.copyOf(keysRead), !ranges.isEmpty(), () -> check(ranges));
  }

  private void check(List<KeyRange> ranges) {
    for (byte[] key : keysRead) {
      if (!Arrays.equals(snapshot.get(key), store.get(key))) {
        throw new ConflictException(
            "transaction: a key of " + key.length + " bytes that was read has another value");
      }
    }
    for (KeyRange range : ranges) {
      try (Cursor then = snapshot.cursor(range);
          Cursor now = store.cursor(range)) {
        boolean more;
        do {
          more = then.next();
          if (more != now.next()
              || (more
                  && !(Arrays.equals(then.key(), now.key())
                      && Arrays.equals(then.value(), now.value())))) {
            throw new ConflictException("transaction: a range that was read holds something else");
          }
        } while (more);
      }
    }
  }

  @Override
  public void close() {
    ended = true;
    walks.forEach(TransactionCursor::close);
    snapshot.close();
  }
}
