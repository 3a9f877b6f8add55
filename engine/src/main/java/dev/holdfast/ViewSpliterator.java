package dev.holdfast;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.Spliterator;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Splits off what it reads next, in batches that grow: where a range of keys has its middle is not
 * known.
 *
 * <p><b>Threads:</b> one at a time.
 */
final class ViewSpliterator<T> implements Spliterator<T> {
  private static final int FIRST_BATCH = 1 << 10;
  private static final int LAST_BATCH = 1 << 16;

  private final Iterator<T> elements;
  private final int characteristics;
  private final @Nullable Comparator<? super T> comparator;

  /** How many there are; {@link Long#MAX_VALUE} where that is not known, and it can be split. */
  private long size;

  private int batch = FIRST_BATCH;

  private ViewSpliterator(
      Iterator<T> elements,
      int characteristics,
      @Nullable Comparator<? super T> comparator,
      long size) {
    this.elements = elements;
    this.characteristics = characteristics;
    this.comparator = comparator;
    this.size = size;
  }

  /** Of values. */
  static <T> Spliterator<T> ordered(Iterator<T> elements) {
    return new ViewSpliterator<>(elements, ORDERED | CONCURRENT | NONNULL, null, Long.MAX_VALUE);
  }

  /**
   * Of keys or entries.
   *
   * @param comparator null where they are in their natural order
   */
  static <T> Spliterator<T> sorted(
      Iterator<T> elements, @Nullable Comparator<? super T> comparator) {
    return new ViewSpliterator<>(
        elements, DISTINCT | SORTED | ORDERED | CONCURRENT | NONNULL, comparator, Long.MAX_VALUE);
  }

  @Override
  public boolean tryAdvance(Consumer<? super T> action) {
    if (!elements.hasNext()) {
      return false;
    }
    T element = elements.next();
    if (size != Long.MAX_VALUE) {
      size--;
    }
    action.accept(element);
    return true;
  }

  @Override
  public void forEachRemaining(Consumer<? super T> action) {
    elements.forEachRemaining(action);
  }

  @Override
  public @Nullable Spliterator<T> trySplit() {
    if (size != Long.MAX_VALUE || !elements.hasNext()) {
      return null;
    }
    @SuppressWarnings("unchecked") // holds nothing but what comes from the iterator
    T[] taken = (T[]) new Object[batch];
    int count = 0;
    while (count < batch && elements.hasNext()) {
      taken[count++] = elements.next();
    }
    batch = Math.min(2 * batch, LAST_BATCH);
    return new ViewSpliterator<>(
        Arrays.asList(taken).subList(0, count).iterator(), characteristics, comparator, count);
  }

  @Override
  public long estimateSize() {
    return size;
  }

  @Override
  public int characteristics() {
    return characteristics;
  }

  @Override
  public @Nullable Comparator<? super T> getComparator() {
    if (!hasCharacteristics(SORTED)) {
      throw new IllegalStateException("expected sorted elements, was values");
    }
    return comparator;
  }
}
