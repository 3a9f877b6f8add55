package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.codec.Codec;
import dev.holdfast.codec.Codecs;
import dev.holdfast.error.DataLostException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.Spliterator;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * What {@link TypedMap#asMap} says beyond the contract that {@link MapContractTest} goes through.
 */
final class MapViewTest {
  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Store store;
  private TypedMap<Integer, String> typed;
  private ConcurrentNavigableMap<Integer, String> map;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).open();
    typed = TypedMap.of(store, Codecs.INTEGER, Codecs.STRING);
    map = typed.asMap();
  }

  @AfterEach
  void close() {
    store.close();
  }

  private void fill(int count) {
    for (int i = 0; i < count; i++) {
      map.put(i, "v" + i);
    }
  }

  @Test
  void setValueReplacesWhatIsThereAndReturnsIt() {
    map.put(1, "read");
    Map.Entry<Integer, String> entry = map.entrySet().iterator().next();
    map.put(1, "since");
    assertEquals("read", entry.getValue());
    assertEquals("since", entry.setValue("set"));
    assertEquals("set", entry.getValue());
    assertEquals("set", map.get(1));
  }

  @Test
  void setValueLeavesARemovedKeyRemoved() {
    map.put(1, "a");
    Map.Entry<Integer, String> entry = map.entrySet().iterator().next();
    map.remove(1);
    assertThrows(IllegalStateException.class, () -> entry.setValue("b"));
    assertTrue(map.isEmpty());
  }

  @Test
  void entriesOfEndsAreUnmodifiable() {
    fill(3);
    for (Map.Entry<Integer, String> entry :
        List.of(required(map.firstEntry()), required(map.floorEntry(1)))) {
      assertThrows(UnsupportedOperationException.class, () -> entry.setValue("x"));
    }
    assertEquals("v0", map.get(0));
  }

  private static <T> T required(@Nullable T value) {
    assertNotNull(value);
    return value;
  }

  @Test
  void comparatorIsThatOfTheBytes() {
    assertNull(map.comparator());
    assertTrue(compare(map.descendingMap(), 1, 2) > 0);
    assertNull(map.descendingMap().descendingMap().comparator());
    ConcurrentNavigableMap<String, String> strings =
        TypedMap.of(store, Codecs.STRING, Codecs.STRING).asMap();
    // A supplementary character, and one that UTF-16 has behind its surrogates.
    assertTrue(compare(strings, "\ud83d\ude00", "\uffee") > 0);
    assertTrue(compare(strings.descendingMap(), "\ud83d\ude00", "\uffee") < 0);
    assertTrue(compare(strings.headMap("x"), "a", "b") < 0);
  }

  @Test
  void aCodecWithNoOrderHasThatOfItsBytes() {
    ConcurrentNavigableMap<Integer, String> swapped =
        TypedMap.of(store, new LittleEndian(), Codecs.STRING).asMap();
    swapped.put(1, "a");
    swapped.put(256, "b");
    swapped.put(2, "c");
    assertEquals(List.of(256, 1, 2), List.copyOf(swapped.keySet()));
    assertTrue(compare(swapped, 256, 1) < 0);
    assertEquals(List.of(2, 1), List.copyOf(swapped.descendingMap().headMap(256).keySet()));
  }

  private static final class LittleEndian implements Codec<Integer> {
    @Override
    public byte[] encode(Integer value) {
      return ByteBuffer.allocate(4).putInt(Integer.reverseBytes(value)).array();
    }

    @Override
    public Integer decode(byte[] bytes) {
      return Integer.reverseBytes(ByteBuffer.wrap(bytes).getInt());
    }

    @Override
    public @Nullable Comparator<Integer> comparator() {
      return null;
    }
  }

  private static <K> int compare(NavigableMap<K, ?> map, K a, K b) {
    Comparator<? super K> order = map.comparator();
    assertNotNull(order);
    return order.compare(a, b);
  }

  @Test
  void spliteratorsSayWhatTheyAreAndKeepItWhenSplit() {
    fill(5_000);
    Spliterator<Integer> keys = map.descendingMap().keySet().spliterator();
    int sorted =
        Spliterator.SORTED
            | Spliterator.ORDERED
            | Spliterator.DISTINCT
            | Spliterator.NONNULL
            | Spliterator.CONCURRENT;
    assertTrue(keys.hasCharacteristics(sorted));
    assertFalse(keys.hasCharacteristics(Spliterator.SIZED));
    Spliterator<Integer> head = required(keys.trySplit());
    assertTrue(required(head.getComparator()).compare(1, 2) > 0);
    List<Integer> all = new ArrayList<>();
    head.forEachRemaining(all::add);
    assertFalse(all.isEmpty());
    keys.forEachRemaining(all::add);
    List<Integer> expected = new ArrayList<>(map.keySet()).reversed();
    assertEquals(expected, all);

    assertNull(map.keySet().spliterator().getComparator());
    Spliterator<Map.Entry<Integer, String>> entries = map.entrySet().spliterator();
    assertTrue(entries.hasCharacteristics(sorted));
    assertTrue(required(entries.getComparator()).compare(Map.entry(1, "b"), Map.entry(2, "a")) < 0);
    Spliterator<String> values = map.values().spliterator();
    assertTrue(values.hasCharacteristics(Spliterator.ORDERED | Spliterator.NONNULL));
    assertFalse(values.hasCharacteristics(Spliterator.DISTINCT));
    assertThrows(IllegalStateException.class, values::getComparator);
  }

  @Test
  void parallelStreamsSeeEveryEntryOnceInOrder() {
    fill(20_000);
    assertEquals(
        new ArrayList<>(map.keySet()), map.keySet().parallelStream().map(key -> key).toList());
    assertEquals(20_000, map.entrySet().parallelStream().distinct().count());
  }

  @Test
  void removeIfTakesNoValueThatTheTestDidNotSee() {
    map.put(1, "old");
    assertFalse(
        map.values()
            .removeIf(value -> {
              map.put(1, "new");
              return value.equals("old");
            }));
    assertFalse(
        map.entrySet()
            .removeIf(entry -> {
              boolean picked = entry.getValue().equals("new");
              map.put(1, "newer");
              return picked;
            }));
    assertEquals("newer", map.get(1));
  }

  @Test
  void removeIfTakesAValueThatChangedAndStillIsPicked() {
    map.put(1, "0");
    AtomicInteger calls = new AtomicInteger();
    assertTrue(
        map.values()
            .removeIf(_ -> {
              if (calls.incrementAndGet() < 3) {
                map.put(1, "changed" + calls);
              }
              return true;
            }));
    assertTrue(map.isEmpty());
  }

  @Test
  void replaceAllReplacesTheValueThatIsThere() {
    fill(3);
    AtomicInteger calls = new AtomicInteger();
    map.tailMap(1)
        .replaceAll((key, value) -> {
          if (calls.incrementAndGet() == 1) {
            map.put(key, "meanwhile");
          }
          return value + "!";
        });
    assertEquals(Map.of(0, "v0", 1, "meanwhile!", 2, "v2!"), map);
  }

  @Test
  void aKeyOutOfRangeIsRefusedAndAbsent() {
    fill(10);
    ConcurrentNavigableMap<Integer, String> part = map.descendingMap().subMap(7, true, 3, false);
    assertEquals(Set.of(7, 6, 5, 4), part.keySet());
    for (Executable call :
        List.<Executable>of(
            () -> part.put(3, "x"),
            () -> part.putIfAbsent(8, "x"),
            () -> part.compute(3, (_, _) -> "x"),
            () -> part.computeIfAbsent(3, _ -> "x"),
            () -> part.merge(8, "x", String::concat),
            () -> part.putAll(Map.of(8, "x")),
            () -> part.headMap(2),
            () -> part.tailMap(8),
            () -> part.subMap(4, 6))) {
      assertThrows(IllegalArgumentException.class, call);
    }
    assertNull(part.get(3));
    assertNull(part.remove(8));
    assertFalse(part.remove(8, "v8"));
    assertNull(part.replace(8, "x"));
    assertFalse(part.replace(8, "v8", "x"));
    assertNull(part.computeIfPresent(8, (_, _) -> "x"));
    assertFalse(part.keySet().remove(8));
    assertFalse(part.containsKey(3));
    assertEquals("v8", map.get(8));
    part.clear();
    assertEquals(Set.of(0, 1, 2, 3, 8, 9), map.keySet());
  }

  @Test
  void aKeyThatCanHaveNoEntryIsAbsent() {
    ConcurrentNavigableMap<String, String> strings =
        TypedMap.of(store, Codecs.STRING, Codecs.STRING).asMap();
    strings.put("a", "1");
    for (String key : List.of("", "k".repeat(5_000), "\ud800")) {
      assertNull(strings.get(key));
      assertFalse(strings.containsKey(key));
      assertNull(strings.remove(key));
      assertFalse(strings.keySet().remove(key));
      assertFalse(strings.entrySet().contains(Map.entry(key, "1")));
      assertThrows(IllegalArgumentException.class, () -> strings.put(key, "1"));
    }
    assertEquals(Set.of("a"), strings.tailMap("").keySet());
    assertTrue(strings.headMap("", true).isEmpty());
    assertEquals(0, strings.headMap("", true).size());
    assertEquals("a", strings.lowerKey("k".repeat(5_000)));
    assertNull(strings.higherKey("a".repeat(5_000)));
  }

  @Test
  void nothingIsNull() {
    map.put(1, "a");
    for (Executable call :
        List.<Executable>of(
            () -> map.get(nothing()),
            () -> map.containsKey(nothing()),
            () -> map.containsValue(nothing()),
            () -> map.put(nothing(), "x"),
            () -> map.put(1, nothing()),
            () -> map.putIfAbsent(1, nothing()),
            () -> map.replace(1, nothing()),
            () -> map.remove(nothing()),
            () -> map.subMap(nothing(), 2),
            () -> map.lowerKey(nothing()),
            () -> map.merge(1, nothing(), String::concat),
            () -> map.replaceAll((_, _) -> nothing()),
            () -> map.values().removeIf(nothing()),
            () -> map.entrySet().iterator().next().setValue(nothing()))) {
      assertThrows(NullPointerException.class, call);
    }
    assertEquals(Map.of(1, "a"), map);
  }

  @SuppressWarnings({"NullAway", "TypeParameterUnusedInFormals"}) // what no caller may pass
  private static <T> T nothing() {
    return null;
  }

  @Test
  @SuppressWarnings("CollectionIncompatibleType") // what is tried
  void aKeyOfAnotherTypeIsAClassCastAndAValueOfOneIsAbsent() {
    map.put(1, "a");
    assertThrows(ClassCastException.class, () -> map.get("1"));
    assertThrows(ClassCastException.class, () -> map.containsKey(1L));
    assertFalse(map.containsValue(1));
    assertFalse(map.remove(1, (Object) 1));
    assertFalse(map.values().remove((Object) 1));
    assertEquals(Map.of(1, "a"), map);
  }

  @Test
  void anIteratorGoesOnBehindWhatIsLost() {
    Iterator<Integer> iterator =
        new ViewIterator<>(
            new TypedWrites<>(
                new ModedWrites(store, null), new Encodings<>(Codecs.INTEGER, Codecs.STRING)),
            new LosingCursor(),
            cursor -> Codecs.INTEGER.decode(cursor.key()));
    assertEquals(1, iterator.next());
    assertThrows(DataLostException.class, iterator::hasNext);
    assertEquals(3, iterator.next());
    assertFalse(iterator.hasNext());
    assertFalse(iterator.hasNext());
  }

  /** Has the keys 1 and 3, and had one in between. It may not be asked behind its end. */
  private static final class LosingCursor implements Cursor {
    private int at;

    @Override
    public boolean next() {
      at++;
      if (at == 2) {
        throw new DataLostException("lost");
      }
      assertTrue(at <= 4);
      return at <= 3;
    }

    @Override
    public void seek(byte[] key) {
      throw new UnsupportedOperationException();
    }

    @Override
    public byte[] key() {
      return Codecs.INTEGER.encode(at);
    }

    @Override
    public byte[] value() {
      return new byte[0];
    }

    @Override
    public void close() {}
  }

  @Test
  void itIsNotSerializable() {
    assertFalse((Object) map instanceof Serializable);
    assertFalse((Object) map.keySet() instanceof Serializable);
  }

  /** Whatever is done to views of views is done to a map of the JDK as well, over many leaves. */
  @Test
  void viewsOfViewsAreAsThoseOfTheJdk() {
    long seed = TestStores.seed("MapViewTest");
    SplittableRandom random = new SplittableRandom(seed);
    TreeMap<Integer, String> model = new TreeMap<>();
    String padding = "x".repeat(100);
    for (int i = 0; i < 3_000; i++) {
      int key = random.nextInt(-5_000, 5_000);
      String value = padding + i % 50;
      assertEquals(model.put(key, value), map.put(key, value));
    }
    for (int round = 0; round < 300; round++) {
      NavigableMap<Integer, String> expected = model;
      NavigableMap<Integer, String> view = map;
      for (int depth = random.nextInt(4); depth > 0; depth--) {
        int from = random.nextInt(-5_500, 5_500);
        int to = random.nextInt(-5_500, 5_500);
        boolean fromInclusive = random.nextBoolean();
        boolean toInclusive = random.nextBoolean();
        switch (random.nextInt(4)) {
          case 0 -> {
            expected = expected.descendingMap();
            view = view.descendingMap();
          }
          case 1 -> {
            int low = Math.min(from, to);
            int high = Math.max(from, to);
            boolean down = isDescending(view);
            int begin = down ? high : low;
            int end = down ? low : high;
            NavigableMap<Integer, String> part = expected;
            NavigableMap<Integer, String> same = view;
            if (isRefused(() -> part.subMap(begin, fromInclusive, end, toInclusive))) {
              assertTrue(isRefused(() -> same.subMap(begin, fromInclusive, end, toInclusive)));
            } else {
              expected = part.subMap(begin, fromInclusive, end, toInclusive);
              view = same.subMap(begin, fromInclusive, end, toInclusive);
            }
          }
          case 2 -> {
            NavigableMap<Integer, String> part = expected;
            if (!isRefused(() -> part.headMap(to, toInclusive))) {
              expected = part.headMap(to, toInclusive);
              view = view.headMap(to, toInclusive);
            }
          }
          default -> {
            NavigableMap<Integer, String> part = expected;
            if (!isRefused(() -> part.tailMap(from, fromInclusive))) {
              expected = part.tailMap(from, fromInclusive);
              view = view.tailMap(from, fromInclusive);
            }
          }
        }
      }
      assertSame(expected, view, random.nextInt(-5_500, 5_500));
      change(expected, view, random);
      assertSame(expected, view, random.nextInt(-5_500, 5_500));
    }
    assertEquals(model, map);
  }

  private static boolean isDescending(NavigableMap<Integer, ?> map) {
    Comparator<? super Integer> order = map.comparator();
    return order != null && order.compare(1, 2) > 0;
  }

  private static boolean isRefused(Executable call) {
    try {
      call.execute();
      return false;
    } catch (IllegalArgumentException e) {
      return true;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static void assertSame(
      NavigableMap<Integer, String> expected, NavigableMap<Integer, String> view, int key) {
    assertEquals(expected.size(), view.size());
    assertEquals(List.copyOf(expected.entrySet()), List.copyOf(view.entrySet()));
    assertEquals(
        List.copyOf(expected.descendingMap().keySet()), List.copyOf(view.descendingKeySet()));
    assertArrayEquals(expected.values().toArray(), view.values().toArray());
    assertEquals(expected.lowerEntry(key), view.lowerEntry(key));
    assertEquals(expected.floorKey(key), view.floorKey(key));
    assertEquals(expected.ceilingEntry(key), view.ceilingEntry(key));
    assertEquals(expected.higherKey(key), view.higherKey(key));
    assertEquals(expected.firstEntry(), view.firstEntry());
    assertEquals(expected.lastEntry(), view.lastEntry());
    assertEquals(expected.hashCode(), view.hashCode());
  }

  private static void change(
      NavigableMap<Integer, String> expected,
      NavigableMap<Integer, String> view,
      SplittableRandom random) {
    int digit = random.nextInt(10);
    switch (random.nextInt(7)) {
      case 0 -> assertEquals(expected.pollFirstEntry(), view.pollFirstEntry());
      case 1 -> assertEquals(expected.pollLastEntry(), view.pollLastEntry());
      case 2 -> {
        List<Integer> some = new ArrayList<>(expected.keySet());
        Collections.shuffle(some, new java.util.Random(digit));
        List<Integer> few = some.subList(0, Math.min(5, some.size()));
        assertEquals(expected.keySet().removeAll(few), view.keySet().removeAll(few));
      }
      case 3 ->
          assertEquals(
              expected.values().removeIf(value -> value.endsWith("7" + digit)),
              view.values().removeIf(value -> value.endsWith("7" + digit)));
      case 4 -> {
        expected.replaceAll((key, value) -> key % 10 == digit ? value + digit : value);
        view.replaceAll((key, value) -> key % 10 == digit ? value + digit : value);
      }
      case 5 -> {
        Iterator<Map.Entry<Integer, String>> one = expected.entrySet().iterator();
        Iterator<Map.Entry<Integer, String>> other = view.entrySet().iterator();
        for (int i = 0; i < 40 && one.hasNext(); i++) {
          assertEquals(one.next(), other.next());
          if (i % 10 == digit) {
            one.remove();
            other.remove();
          }
        }
      }
      default -> {
        if (expected.size() < 40) {
          expected.clear();
          view.clear();
        }
      }
    }
  }
}
