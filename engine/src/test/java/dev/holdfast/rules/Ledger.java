package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What was acknowledged, kept outside of the process that writes. */
final class Ledger {
  private final long seed;
  private final Map<String, byte[]> acknowledged = new TreeMap<>();
  private final Map<Integer, Workload.Op> inFlight = new HashMap<>();
  private long acknowledgements;

  Ledger(long seed) {
    this.seed = seed;
  }

  Ledger copy() {
    Ledger copy = new Ledger(seed);
    copy.acknowledged.putAll(acknowledged);
    copy.inFlight.putAll(inFlight);
    copy.acknowledgements = acknowledgements;
    return copy;
  }

  void begin(int writer, long number) {
    inFlight.put(writer, Workload.op(seed, writer, number));
  }

  void acknowledge(int writer, long number) {
    Workload.Op op = Objects.requireNonNull(inFlight.remove(writer), "began");
    assertEquals(Workload.op(seed, writer, number).key(), op.key(), "operation " + number);
    record(op.key(), op.value());
    acknowledgements++;
  }

  /** Takes in an acknowledged write that is not of the workload; null for a remove. */
  void record(String key, byte @Nullable [] value) {
    if (value == null) {
      acknowledged.remove(key);
    } else {
      acknowledged.put(key, value);
    }
  }

  int inFlight() {
    return inFlight.size();
  }

  long acknowledgements() {
    return acknowledgements;
  }

  /**
   * Compares a store with what was acknowledged, and takes up what became of the operations that
   * were in flight: each happened as a whole or not at all.
   */
  void settle(Store store) {
    for (Workload.Op op : inFlight.values()) {
      byte[] actual = store.get(op.key().getBytes(US_ASCII));
      if (!Arrays.equals(actual, acknowledged.get(op.key()))) {
        if (!Arrays.equals(actual, op.value())) {
          fail(
              op.key()
                  + ": was in flight; expected the former value, "
                  + describe(acknowledged.get(op.key()))
                  + ", or the new one, "
                  + describe(op.value())
                  + ", was "
                  + describe(actual));
        }
        record(op.key(), op.value());
      }
    }
    inFlight.clear();
    int seen = 0;
    try (Cursor cursor = store.cursor(KeyRange.all())) {
      while (cursor.next()) {
        String key = new String(cursor.key(), US_ASCII);
        byte[] expected = acknowledged.get(key);
        if (expected == null) {
          fail(key + ": expected nothing, was " + describe(cursor.value()));
        }
        if (!Arrays.equals(expected, cursor.value())) {
          fail(key + ": expected " + describe(expected) + ", was " + describe(cursor.value()));
        }
        seen++;
      }
    }
    for (Map.Entry<String, byte[]> entry : acknowledged.entrySet()) {
      byte[] actual = store.get(entry.getKey().getBytes(US_ASCII));
      if (!Arrays.equals(entry.getValue(), actual)) {
        fail(
            entry.getKey()
                + ": expected "
                + describe(entry.getValue())
                + ", was "
                + describe(actual));
      }
    }
    assertEquals(acknowledged.size(), seen, "entries");
    assertEquals(acknowledged.size(), store.stats().entries(), "entries counted by the store");
  }

  private static String describe(byte @Nullable [] value) {
    return value == null ? "nothing" : value.length + " bytes, hash " + Arrays.hashCode(value);
  }
}
