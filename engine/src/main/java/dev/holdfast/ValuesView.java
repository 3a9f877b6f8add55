package dev.holdfast;

import java.util.AbstractCollection;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.Spliterator;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** The values of a view, in the order of their keys. */
final class ValuesView<V> extends AbstractCollection<V> {
  private final MapView<?, V> map;

  ValuesView(MapView<?, V> map) {
    this.map = map;
  }

  @Override
  public Iterator<V> iterator() {
    return new ViewIterator<>(map.writes(), map.cursor(), map::value);
  }

  @Override
  public Spliterator<V> spliterator() {
    return ViewSpliterator.ordered(iterator());
  }

  @Override
  public int size() {
    return map.size();
  }

  @Override
  public boolean isEmpty() {
    return map.isEmpty();
  }

  @Override
  public boolean contains(Object value) {
    return map.containsValue(value);
  }

  /** Removes the first entry with a value, if it still has it then. */
  @Override
  public boolean remove(@Nullable Object value) {
    return value != null && map.removeFirst(value);
  }

  @Override
  public boolean removeAll(Collection<?> values) {
    Objects.requireNonNull(values, "values");
    return removeIf(values::contains);
  }

  @Override
  public boolean retainAll(Collection<?> values) {
    Objects.requireNonNull(values, "values");
    return removeIf(value -> !values.contains(value));
  }

  @Override
  public boolean removeIf(Predicate<? super V> filter) {
    Objects.requireNonNull(filter, "filter");
    return map.removeEach((key, value) -> filter.test(map.value(key, value)));
  }

  @Override
  public void clear() {
    map.clear();
  }

  @Override
  public Object[] toArray() {
    return list().toArray();
  }

  @Override
  public <T> T[] toArray(T[] array) {
    return list().toArray(array);
  }

  private List<V> list() {
    List<V> list = new ArrayList<>();
    iterator().forEachRemaining(list::add);
    return list;
  }
}
