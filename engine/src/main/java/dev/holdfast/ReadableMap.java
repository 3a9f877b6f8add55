package dev.holdfast;

import java.lang.foreign.MemorySegment;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * What can be read of an ordered map from bytes to bytes: of a store's own, of one that has a name,
 * or of what either held at the moment of a {@link Snapshot}. Keys are in unsigned lexicographic
 * order.
 *
 * <p><b>Threads:</b> any. <b>Failure:</b> {@link dev.holdfast.error.DataLostException} where what
 * was asked for, or what lies on the way to it, is lost: which entry is the first, or the next one
 * to a key, is not known then; {@link dev.holdfast.error.DeviceOfflineException} while no leg can
 * be reached; {@link dev.holdfast.error.StoreClosedException} once the store is closed.
 */
public interface ReadableMap {
  /**
   * {@return the value of a key, a copy; null if there is none}
   *
   * @param key the key
   */
  byte @Nullable [] get(byte[] key);

  /**
   * Copies the value of a key.
   *
   * @param key the key
   * @param into gets the value
   * @return the length of the value, or -1 if there is none; where it is larger than {@code into},
   *     nothing was copied
   */
  long get(MemorySegment key, MemorySegment into);

  /**
   * {@return whether the key has a value}
   *
   * @param key the key
   */
  boolean containsKey(byte[] key);

  /**
   * Walks over a range of keys, ascending.
   *
   * @param range which keys
   * @return the cursor; to be closed
   */
  Cursor cursor(KeyRange range);

  /**
   * Walks over a range of keys, descending.
   *
   * @param range which keys
   * @return the cursor; to be closed
   */
  Cursor reverseCursor(KeyRange range);

  /** {@return the entry with the least key; null if there is none} */
  default @Nullable Entry first() {
    return firstOf(cursor(KeyRange.all()));
  }

  /** {@return the entry with the greatest key; null if there is none} */
  default @Nullable Entry last() {
    return firstOf(reverseCursor(KeyRange.all()));
  }

  /**
   * {@return the entry with the greatest key that is not above {@code key}; null if there is none}
   *
   * @param key the key
   */
  default @Nullable Entry floor(byte[] key) {
    return firstOf(reverseCursor(KeyRange.atMost(key)));
  }

  /**
   * {@return the entry with the least key that is not below {@code key}; null if there is none}
   *
   * @param key the key
   */
  default @Nullable Entry ceiling(byte[] key) {
    return firstOf(cursor(KeyRange.atLeast(key)));
  }

  /**
   * {@return the entry with the greatest key below {@code key}; null if there is none}
   *
   * @param key the key
   */
  default @Nullable Entry lower(byte[] key) {
    return firstOf(reverseCursor(KeyRange.lessThan(key)));
  }

  /**
   * {@return the entry with the least key above {@code key}; null if there is none}
   *
   * @param key the key
   */
  default @Nullable Entry higher(byte[] key) {
    return firstOf(cursor(KeyRange.greaterThan(key)));
  }

  /**
   * {@return the entries of a range, ascending, read while the stream is consumed: close it, and
   * with it the cursor under it} It sees what the cursor sees.
   *
   * @param range which keys
   */
  default Stream<Entry> stream(KeyRange range) {
    return streamOf(cursor(range));
  }

  /**
   * {@return the entries of a range, descending; as {@link #stream}}
   *
   * @param range which keys
   */
  default Stream<Entry> reverseStream(KeyRange range) {
    return streamOf(reverseCursor(range));
  }

  private static @Nullable Entry firstOf(Cursor cursor) {
    try (cursor) {
      return cursor.next() ? new Entry(cursor.key(), cursor.value()) : null;
    }
  }

  private static Stream<Entry> streamOf(Cursor cursor) {
    Spliterator<Entry> entries =
        new Spliterators.AbstractSpliterator<>(
            Long.MAX_VALUE, Spliterator.ORDERED | Spliterator.DISTINCT | Spliterator.NONNULL) {
          @Override
          public boolean tryAdvance(Consumer<? super Entry> action) {
            if (!cursor.next()) {
              return false;
            }
            action.accept(new Entry(cursor.key(), cursor.value()));
            return true;
          }
        };
    return StreamSupport.stream(entries, false).onClose(cursor::close);
  }
}
