package dev.holdfast;

import java.util.AbstractSet;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Spliterator;
import java.util.function.Predicate;

/** The entries of a view, in its order. */
final class EntrySetView<K, V> extends AbstractSet<Map.Entry<K, V>> {
  private final MapView<K, V> map;

  EntrySetView(MapView<K, V> map) {
    this.map = map;
  }

  @Override
  public Iterator<Map.Entry<K, V>> iterator() {
    TypedWrites<K, V> writes = map.writes();
    return new ViewIterator<>(
        writes,
        map.cursor(),
        cursor -> new ViewEntry<>(writes, cursor.key(), map.key(cursor), map.value(cursor)));
  }

  @Override
  public Spliterator<Map.Entry<K, V>> spliterator() {
    return ViewSpliterator.sorted(iterator(), Map.Entry.comparingByKey(order()));
  }

  @SuppressWarnings("unchecked") // keys of a view with no comparator are in their natural order
  private Comparator<? super K> order() {
    Comparator<? super K> order = map.comparator();
    return order != null ? order : (Comparator<? super K>) Comparator.naturalOrder();
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
  public boolean contains(Object entry) {
    return entry instanceof Map.Entry<?, ?> sought
        && sought.getKey() != null
        && sought.getValue() != null
        && map.holds(sought.getKey(), sought.getValue());
  }

  @Override
  public boolean remove(Object entry) {
    return entry instanceof Map.Entry<?, ?> sought
        && sought.getKey() != null
        && sought.getValue() != null
        && map.remove(sought.getKey(), sought.getValue());
  }

  /** Each by itself: to see which set is larger, as others do, would read all of this one. */
  @Override
  public boolean removeAll(Collection<?> entries) {
    boolean removed = false;
    for (Object entry : entries) {
      removed |= remove(entry);
    }
    return removed;
  }

  @Override
  public boolean retainAll(Collection<?> entries) {
    Objects.requireNonNull(entries, "entries");
    return removeIf(entry -> !entries.contains(entry));
  }

  @Override
  public boolean removeIf(Predicate<? super Map.Entry<K, V>> filter) {
    Objects.requireNonNull(filter, "filter");
    return map.removeEach((key, value) -> filter.test(map.entry(key, value)));
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

  private List<Map.Entry<K, V>> list() {
    List<Map.Entry<K, V>> list = new ArrayList<>();
    iterator().forEachRemaining(list::add);
    return list;
  }
}
