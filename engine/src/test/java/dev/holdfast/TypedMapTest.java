package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.codec.Codec;
import dev.holdfast.codec.Codecs;
import dev.holdfast.error.InvalidEncodingException;
import dev.holdfast.pmem.PersistenceMode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class TypedMapTest {
  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Store store;
  private TypedMap<String, Long> map;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).open();
    map = TypedMap.of(store, Codecs.STRING, Codecs.LONG);
  }

  @AfterEach
  void close() {
    store.close();
  }

  @Test
  void valuesAreSetAndRemovedOnWhatTheyDependOn() {
    map.put("a", 1L);
    assertEquals(1, map.get("a"));
    assertFalse(map.putIfAbsent("a", 2L));
    assertTrue(map.putIfAbsent("b", 2L));
    assertTrue(map.replace("b", 3L));
    assertFalse(map.replace("c", 3L));
    assertFalse(map.replace("b", 2L, 4L));
    assertTrue(map.replace("b", 3L, 4L));
    assertEquals(4, map.get("b"));
    assertFalse(map.remove("b", 3L));
    assertTrue(map.remove("b", 4L));
    assertFalse(map.remove("b"));
    assertTrue(map.remove("a"));
    assertFalse(map.containsKey("a"));
    assertNull(map.get("a"));
    assertEquals(9, map.getOrDefault("a", 9L));
  }

  @Test
  void whatIsReplacedIsReturned() {
    assertNull(map.getAndPut("a", 1L));
    assertEquals(1, map.getAndPut("a", 2L));
    assertEquals(2, map.getAndPutIfAbsent("a", 3L));
    assertNull(map.getAndPutIfAbsent("b", 3L));
    assertEquals(2, map.getAndRemove("a"));
    assertNull(map.getAndRemove("a"));
    assertEquals(3, map.get("b"));
  }

  @Test
  void functionsGetAndGiveValuesOfTheirTypes() {
    assertEquals(1, map.compute("a", (key, value) -> value == null ? key.length() : -value));
    assertEquals(-1, map.compute("a", (key, value) -> value == null ? key.length() : -value));
    assertNull(map.compute("a", (_, _) -> null));
    assertFalse(map.containsKey("a"));
    assertNull(map.computeIfPresent("a", (_, value) -> value + 1));
    assertNull(map.computeIfAbsent("a", _ -> null));
    assertEquals(3, map.computeIfAbsent("abc", key -> (long) key.length()));
    assertEquals(3, map.computeIfAbsent("abc", _ -> 99L));
    assertEquals(4, map.computeIfPresent("abc", (_, value) -> value + 1));
    assertEquals(14, map.merge("abc", 10L, Long::sum));
    assertEquals(10, map.merge("d", 10L, Long::sum));
    assertNull(map.merge("d", 10L, (_, _) -> null));
    assertFalse(map.containsKey("d"));
    assertEquals(14, map.get("abc"));
  }

  @Test
  void nextToAKeyIsTheOneThatTheOrderSays() {
    for (String key : List.of("b", "d", "f")) {
      map.put(key, (long) key.charAt(0));
    }
    assertEquals(Map.entry("b", (long) 'b'), map.first());
    assertEquals(Map.entry("f", (long) 'f'), map.last());
    assertEquals("d", keyOf(map.floor("d")));
    assertEquals("d", keyOf(map.ceiling("d")));
    assertEquals("b", keyOf(map.lower("d")));
    assertEquals("f", keyOf(map.higher("d")));
    assertEquals("d", keyOf(map.floor("e")));
    assertEquals("f", keyOf(map.ceiling("e")));
    assertNull(map.lower("b"));
    assertNull(map.floor("a"));
    assertNull(map.higher("f"));
    assertNull(map.ceiling("g"));
  }

  private static @Nullable String keyOf(Map.@Nullable Entry<String, Long> entry) {
    return entry == null ? null : entry.getKey();
  }

  record Case(TypedRange<String> range, String keys) {}

  static List<Case> ranges() {
    return List.of(
        new Case(TypedRange.all(), "a,ab,b,bb,c"),
        new Case(TypedRange.atLeast("b"), "b,bb,c"),
        new Case(TypedRange.greaterThan("b"), "bb,c"),
        new Case(TypedRange.atMost("b"), "a,ab,b"),
        new Case(TypedRange.lessThan("b"), "a,ab"),
        new Case(TypedRange.closed("ab", "bb"), "ab,b,bb"),
        new Case(TypedRange.open("ab", "bb"), "b"),
        new Case(TypedRange.closedOpen("ab", "bb"), "ab,b"),
        new Case(TypedRange.openClosed("ab", "bb"), "b,bb"),
        new Case(TypedRange.prefix("a"), "a,ab"),
        new Case(TypedRange.prefix("ab"), "ab"),
        new Case(TypedRange.closed("bb", "ab"), ""),
        new Case(TypedRange.open("b", "b"), ""),
        // Bounds that no key can have.
        new Case(TypedRange.prefix(""), "a,ab,b,bb,c"),
        new Case(TypedRange.greaterThan(""), "a,ab,b,bb,c"),
        new Case(TypedRange.atMost(""), ""),
        new Case(TypedRange.closed("", ""), ""),
        new Case(TypedRange.atLeast("b" + "b".repeat(5_000)), "c"),
        new Case(TypedRange.lessThan("b" + "b".repeat(5_000)), "a,ab,b,bb"));
  }

  @ParameterizedTest
  @MethodSource("ranges")
  void rangesHaveTheirKeysInBothDirections(Case each) {
    for (String key : List.of("a", "ab", "b", "bb", "c")) {
      map.put(key, (long) key.length());
    }
    List<String> expected = each.keys.isEmpty() ? List.of() : List.of(each.keys.split(","));
    assertEquals(expected, keys(map.stream(each.range)));
    assertEquals(expected.reversed(), keys(map.reverseStream(each.range)));
    List<String> walked = new ArrayList<>();
    try (TypedCursor<String, Long> cursor = map.cursor(each.range)) {
      while (cursor.next()) {
        assertEquals(cursor.key().length(), cursor.value());
        walked.add(cursor.key());
      }
    }
    assertEquals(expected, walked);
    walked.clear();
    try (TypedCursor<String, Long> cursor = map.reverseCursor(each.range)) {
      while (cursor.next()) {
        walked.add(cursor.entry().getKey());
      }
    }
    assertEquals(expected.reversed(), walked);
  }

  private static List<String> keys(Stream<Map.Entry<String, Long>> entries) {
    try (entries) {
      return entries.map(Map.Entry::getKey).toList();
    }
  }

  @Test
  void aStreamReadsNoMoreThanItsLimit() {
    map.put("a", 1L);
    map.put("b", 2L);
    store.put("c".getBytes(UTF_8), new byte[3]);
    try (Stream<Map.Entry<String, Long>> two = map.stream(TypedRange.all()).limit(2)) {
      assertEquals(List.of(Map.entry("a", 1L), Map.entry("b", 2L)), two.toList());
    }
  }

  @Test
  void aCursorGoesToAKey() {
    for (String key : List.of("a", "c", "e")) {
      map.put(key, 0L);
    }
    try (TypedCursor<String, Long> cursor = map.cursor(TypedRange.all());
        TypedCursor<String, Long> reverse = map.reverseCursor(TypedRange.all())) {
      cursor.seek("b");
      assertTrue(cursor.next());
      assertEquals("c", cursor.key());
      reverse.seek("b");
      assertTrue(reverse.next());
      assertEquals("a", reverse.key());
    }
  }

  @Test
  void snapshotsAndTransactionsAreReadByTheSameCodecs() {
    map.put("a", 1L);
    try (Snapshot snapshot = store.snapshot();
        Transaction transaction = store.transaction()) {
      map.put("a", 2L);
      transaction.put(map.encodeKey("b"), map.encodeValue("b", 7L));
      assertEquals(1, map.in(snapshot).get("a"));
      assertEquals(Map.entry("a", 1L), map.in(snapshot).last());
      assertEquals(Map.entry("b", 7L), map.in(transaction).last());
      assertEquals(
          Map.entry("a", 1L), ReadableTypedMap.of(snapshot, Codecs.STRING, Codecs.LONG).first());
    }
    assertEquals(Map.entry("a", 2L), map.last());
  }

  @Test
  void aBatchTakesEncodedEntries() {
    store.write(new WriteBatch().put(map.encodeKey("a"), map.encodeValue("a", 5L)));
    assertEquals(5, map.get("a"));
  }

  @Test
  void bytesThatAreNoValueAreNamedByTheirKey() {
    store.put("a".getBytes(UTF_8), "secret".getBytes(UTF_8));
    String message = assertInvalid(() -> map.get("a"));
    assertTrue(message.startsWith("value of key \"a\": ") && message.contains("8 bytes"), message);
    assertFalse(message.contains("secret"), message);
    assertInvalid(() -> map.compute("a", (_, _) -> 1L));
    assertInvalid(() -> map.merge("a", 1L, Long::sum));
    assertInvalid(() -> map.replace("a", 1L, 2L));
    assertInvalid(map::first);
    assertArrayEquals("secret".getBytes(UTF_8), store.get("a".getBytes(UTF_8)));
    map.put("a", 1L);
    assertEquals(1, map.get("a"));
  }

  @Test
  void bytesThatAreNoKeyAreNamed() {
    store.put(new byte[] {(byte) 0xff}, new byte[8]);
    String message = assertInvalid(map::first);
    assertTrue(message.startsWith("key 0xff: "), message);
  }

  @Test
  void aCodecThatFailsIsNamedAndShowsNoBytes() {
    TypedMap<String, String> failing = TypedMap.of(store, Codecs.STRING, new Failing());
    failing.put("a", "secret");
    String message = assertInvalid(() -> failing.get("a"));
    assertTrue(message.startsWith("value of key \"a\": "), message);
    assertFalse(message.contains("secret"), message);
  }

  private static String assertInvalid(org.junit.jupiter.api.function.Executable body) {
    return String.valueOf(assertThrows(InvalidEncodingException.class, body).getMessage());
  }

  private static final class Failing implements Codec<String> {
    @Override
    public byte[] encode(String value) {
      return value.getBytes(UTF_8);
    }

    @Override
    public String decode(byte[] bytes) {
      throw new IllegalStateException("cannot read " + new String(bytes, UTF_8));
    }

    @Override
    public @Nullable Comparator<String> comparator() {
      return null;
    }
  }

  @Test
  void whatHasNoBytesIsRefusedByName() {
    String lone = "\ud800";
    String key = assertThrows(IllegalArgumentException.class, () -> map.put(lone, 1L)).getMessage();
    assertTrue(key != null && key.startsWith("key: "), key);
    TypedMap<String, String> strings = TypedMap.of(store, Codecs.STRING, Codecs.STRING);
    String value =
        assertThrows(IllegalArgumentException.class, () -> strings.put("a", lone)).getMessage();
    assertTrue(value != null && value.startsWith("value of key \"a\": "), value);
    assertThrows(IllegalArgumentException.class, () -> map.put("", 1L));
    assertThrows(IllegalArgumentException.class, () -> map.put("k".repeat(4_097), 1L));
    assertNull(map.first());
  }

  @Test
  void arraysAreComparedByWhatIsInThem() {
    TypedMap<String, byte[]> arrays = TypedMap.of(store, Codecs.STRING, Codecs.BYTES);
    arrays.put("a", new byte[] {1, 2});
    assertFalse(arrays.replace("a", new byte[] {1, 3}, new byte[] {4}));
    assertTrue(arrays.replace("a", new byte[] {1, 2}, new byte[] {4}));
    assertTrue(arrays.asMap().containsValue(new byte[] {4}));
    assertTrue(arrays.remove("a", new byte[] {4}));
  }

  /** Words whose case does not count for equality, and is there in the bytes. */
  record Word(String text) {
    static final class Words implements Codec<Word> {
      @Override
      public byte[] encode(Word value) {
        return value.text.getBytes(UTF_8);
      }

      @Override
      public Word decode(byte[] bytes) {
        return new Word(new String(bytes, UTF_8));
      }

      @Override
      public @Nullable Comparator<Word> comparator() {
        return null;
      }
    }

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Word word && word.text.equalsIgnoreCase(text);
    }

    @Override
    public int hashCode() {
      return text.toLowerCase(Locale.ROOT).hashCode();
    }
  }

  @Test
  void equalValuesInOtherBytesAreExpectedToo() {
    TypedMap<String, Word> words = TypedMap.of(store, Codecs.STRING, new Word.Words());
    words.put("a", new Word("Tree"));
    assertTrue(words.asMap().containsValue(new Word("TREE")));
    assertTrue(words.asMap().entrySet().contains(Map.entry("a", new Word("tree"))));
    assertFalse(words.replace("a", new Word("leaf"), new Word("root")));
    assertTrue(words.replace("a", new Word("tREE"), new Word("Root")));
    assertFalse(words.remove("a", new Word("tree")));
    assertTrue(words.remove("a", new Word("ROOT")));
    assertNull(words.get("a"));
  }

  @Test
  void nothingIsNull() {
    List<org.junit.jupiter.api.function.Executable> calls =
        List.of(
            () -> map.get(nothing()),
            () -> map.put(nothing(), 1L),
            () -> map.put("a", nothing()),
            () -> map.putIfAbsent("a", nothing()),
            () -> map.replace("a", nothing(), 1L),
            () -> map.remove("a", nothing()),
            () -> map.getOrDefault("a", nothing()),
            () -> map.merge("a", nothing(), Long::sum),
            () -> TypedRange.atLeast(nothing()),
            () -> TypedMap.of(store, nothing(), Codecs.LONG));
    for (var call : calls) {
      assertThrows(NullPointerException.class, call);
    }
    assertNull(map.first());
  }

  @SuppressWarnings({"NullAway", "TypeParameterUnusedInFormals"}) // what no caller may pass
  private static <T> T nothing() {
    return null;
  }

  @Test
  void eachWriteIsAcknowledgedAsFarAsTheModeSays() {
    List<Function<TypedMap<String, Long>, @Nullable Object>> writes =
        List.of(
            on -> {
              on.put("a", 1L);
              return null;
            },
            on -> on.putIfAbsent("b", 1L),
            on -> on.replace("a", 2L),
            on -> on.replace("a", 2L, 3L),
            on -> on.remove("a", 7L),
            on -> on.remove("a", 3L),
            on -> on.remove("b"),
            on -> on.getAndPut("a", 1L),
            on -> on.getAndPutIfAbsent("a", 1L),
            on -> on.getAndRemove("a"),
            on -> on.compute("a", (_, _) -> 1L),
            on -> on.computeIfAbsent("b", _ -> 1L),
            on -> on.computeIfPresent("a", (_, value) -> value),
            on -> on.merge("a", 1L, Long::sum),
            on -> on.asMap().replace("a", 5L),
            on -> on.asMap().pollFirstEntry());
    for (var write : writes) {
      List<Object> modes = new ArrayList<>();
      TypedMap<String, Long> observed =
          TypedMap.of(observing(store, modes), Codecs.STRING, Codecs.LONG)
              .with(PersistenceMode.FILE);
      Object _ = write.apply(observed);
      assertFalse(modes.isEmpty());
      for (Object mode : modes) {
        assertSame(PersistenceMode.FILE, mode);
      }
    }
  }

  /** A map that notes of each write what mode it is asked for, "none" if for none. */
  private static RawMap observing(RawMap map, List<Object> modes) {
    List<String> reads = List.of("get", "containsKey", "cursor", "reverseCursor", "scan", "read");
    return (RawMap)
        Proxy.newProxyInstance(
            RawMap.class.getClassLoader(),
            new Class<?>[] {RawMap.class},
            (_, method, args) -> {
              if (!reads.contains(method.getName())) {
                modes.add(
                    Arrays.stream(args)
                        .filter(PersistenceMode.class::isInstance)
                        .findFirst()
                        .orElse("none"));
              }
              try {
                return method.invoke(map, args);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
