package dev.holdfast;

import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Goes through a view. It is one entry ahead of what it returned.
 *
 * <p>Nobody closes it, as nobody closes an iterator: a cursor holds nothing but copies.
 *
 * <p><b>Threads:</b> one.
 */
final class ViewIterator<T> implements Iterator<T> {
  private final TypedWrites<?, ?> writes;
  private final Cursor cursor;
  private final Function<Cursor, T> shape;
  private @Nullable T next;
  private byte @Nullable [] nextKey;
  private byte @Nullable [] returnedKey;
  private boolean ended;

  /**
   * @param shape what to make of an entry that the cursor came to
   */
  ViewIterator(TypedWrites<?, ?> writes, Cursor cursor, Function<Cursor, T> shape) {
    this.writes = writes;
    this.cursor = cursor;
    this.shape = shape;
  }

  @Override
  public boolean hasNext() {
    if (next == null && !ended) {
      // What throws here is left behind: the next call goes on with the entry after it.
      if (cursor.next()) {
        next = shape.apply(cursor);
        nextKey = cursor.key();
      } else {
        ended = true;
      }
    }
    return next != null;
  }

  @Override
  public T next() {
    T result = hasNext() ? next : null;
    if (result == null) {
      throw new NoSuchElementException("expected a further entry, was at the end");
    }
    returnedKey = nextKey;
    next = null;
    return result;
  }

  /** Removes the key of what was returned last, whatever its value is now. */
  @Override
  public void remove() {
    byte[] key = returnedKey;
    if (key == null) {
      throw new IllegalStateException("expected an entry that next() returned, was none");
    }
    returnedKey = null;
    boolean _ = writes.remove(key);
  }
}
