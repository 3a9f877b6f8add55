package dev.holdfast.crash;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * All entries that a store should have, or that it was found to have. Keys are ASCII, so that their
 * order as strings is the store's.
 */
final class Contents {
  private final NavigableMap<String, byte[]> entries;

  private Contents(NavigableMap<String, byte[]> entries) {
    this.entries = entries;
  }

  static Contents empty() {
    return new Contents(Collections.emptyNavigableMap());
  }

  /** As this, after a change. */
  Contents with(Change change) {
    NavigableMap<String, byte[]> changed = new TreeMap<>(entries);
    for (Map.Entry<String, byte @Nullable []> entry : change.entries().entrySet()) {
      byte[] value = entry.getValue();
      if (value == null) {
        changed.remove(entry.getKey());
      } else {
        changed.put(entry.getKey(), value);
      }
    }
    return new Contents(changed);
  }

  NavigableMap<String, byte[]> entries() {
    return entries;
  }

  /** What a cursor sees; every get, and the reverse cursor, have to agree with it. */
  static Contents of(Store store) {
    NavigableMap<String, byte[]> found = new TreeMap<>();
    try (Cursor cursor = store.cursor(KeyRange.all())) {
      String before = "";
      while (cursor.next()) {
        String key = new String(cursor.key(), StandardCharsets.US_ASCII);
        if (key.compareTo(before) <= 0) {
          throw new AssertionError("the cursor went from " + before + " to " + key);
        }
        before = key;
        found.put(key, cursor.value());
      }
    }
    Contents contents = new Contents(found);
    contents.requireReversed(store);
    return contents;
  }

  private void requireReversed(Store store) {
    NavigableMap<String, byte[]> found = new TreeMap<>();
    try (Cursor cursor = store.reverseCursor(KeyRange.all())) {
      while (cursor.next()) {
        found.put(new String(cursor.key(), StandardCharsets.US_ASCII), cursor.value());
      }
    }
    String difference = differenceTo(new Contents(found));
    if (difference != null) {
      throw new AssertionError("the reverse cursor differs: " + difference);
    }
  }

  /** Gets every key that is there, and some that are in {@code others} and not there. */
  void requireGets(Store store, Contents others) {
    for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
      byte[] got = store.get(bytes(entry.getKey()));
      if (!Arrays.equals(got, entry.getValue())) {
        throw new AssertionError(
            entry.getKey()
                + ": the cursor has "
                + say(entry.getValue())
                + ", a get has "
                + say(got));
      }
    }
    for (String key : others.entries.keySet()) {
      if (!entries.containsKey(key) && store.get(bytes(key)) != null) {
        throw new AssertionError(key + ": the cursor has nothing, a get has a value");
      }
    }
  }

  /** Says where two differ first; null if nowhere. */
  @Nullable String differenceTo(Contents other) {
    for (Map.Entry<String, byte[]> entry : entries.entrySet()) {
      byte[] theirs = other.entries.get(entry.getKey());
      if (!Arrays.equals(entry.getValue(), theirs)) {
        return entry.getKey() + ": expected " + say(entry.getValue()) + ", was " + say(theirs);
      }
    }
    for (Map.Entry<String, byte[]> entry : other.entries.entrySet()) {
      if (!entries.containsKey(entry.getKey())) {
        return entry.getKey() + ": expected nothing, was " + say(entry.getValue());
      }
    }
    return null;
  }

  static byte[] bytes(String key) {
    return key.getBytes(StandardCharsets.US_ASCII);
  }

  private static String say(byte @Nullable [] value) {
    return value == null
        ? "nothing"
        : value.length + " bytes " + Integer.toHexString(Arrays.hashCode(value));
  }
}
