package dev.holdfast.examples.tail;

import dev.holdfast.ExpiringMap;
import dev.holdfast.Store;
import dev.holdfast.TypedMap;
import dev.holdfast.TypedRange;
import dev.holdfast.codec.Codecs;
import dev.holdfast.codec.Tuple3;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Events in the order of their topic, then of their time: those of a topic lie together, the newest
 * last. Each expires on its own.
 *
 * <p><b>Threads:</b> any.
 */
final class EventLog {
  private final ExpiringMap stored;
  private final TypedMap<Tuple3<String, Instant, Long>, String> events;

  EventLog(Store store) {
    this.stored = store.expiringMap("events");
    this.events =
        TypedMap.of(
            stored, Codecs.tuple(Codecs.STRING, Codecs.INSTANT, Codecs.LONG), Codecs.STRING);
  }

  /**
   * Adds an event.
   *
   * @param number tells events of one topic and time apart
   */
  void append(String topic, Instant time, long number, String text, Duration timeToLive) {
    Tuple3<String, Instant, Long> key = new Tuple3<>(topic, time, number);
    stored.put(events.encodeKey(key), events.encodeValue(key, text), timeToLive);
  }

  /** Whether an event is there. */
  boolean has(String topic, Instant time, long number) {
    return events.containsKey(new Tuple3<>(topic, time, number));
  }

  /** The newest events of a topic, newest first. */
  List<String> newest(String topic, int most) {
    try (Stream<Map.Entry<Tuple3<String, Instant, Long>, String>> all =
        events.reverseStream(of(topic))) {
      return all.limit(most).map(Map.Entry::getValue).toList();
    }
  }

  /** How many events of a topic there are. */
  long count(String topic) {
    try (Stream<?> all = events.stream(of(topic))) {
      return all.count();
    }
  }

  private static TypedRange<Tuple3<String, Instant, Long>> of(String topic) {
    return TypedRange.closed(
        new Tuple3<>(topic, Instant.MIN, Long.MIN_VALUE),
        new Tuple3<>(topic, Instant.MAX, Long.MAX_VALUE));
  }
}
