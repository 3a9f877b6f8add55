package dev.holdfast.examples.tail;

import dev.holdfast.error.HoldfastException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** Adds events to a topic at a rate, and knows which were acknowledged. */
final class Source implements Runnable {
  private static final List<String> WORDS =
      List.of("created", "paid", "packed", "sent", "returned", "closed");

  /** An event that was acknowledged. */
  record Event(Instant time, Instant acknowledged, long number) {}

  private final EventLog log;
  private final String topic;
  private final long gapNanos;
  private final Duration timeToLive;
  private final BooleanSupplier goesOn;
  private final List<Event> acknowledged = new ArrayList<>();

  private volatile @Nullable HoldfastException failure;

  Source(EventLog log, String topic, int rate, Duration timeToLive, BooleanSupplier goesOn) {
    this.log = log;
    this.topic = topic;
    this.gapNanos = 1_000_000_000L / rate;
    this.timeToLive = timeToLive;
    this.goesOn = goesOn;
  }

  @Override
  public void run() {
    long next = System.nanoTime();
    try {
      for (long number = 0; goesOn.getAsBoolean(); number++) {
        Instant time = Instant.now();
        String word = WORDS.get((int) (number % WORDS.size()));
        log.append(
            topic, time, number, time + "  " + topic + " " + number + " " + word, timeToLive);
        synchronized (acknowledged) {
          acknowledged.add(new Event(time, Instant.now(), number));
        }
        next += gapNanos;
        while (System.nanoTime() - next < 0) {
          LockSupport.parkNanos(next - System.nanoTime());
        }
      }
    } catch (HoldfastException e) {
      failure = e;
    }
  }

  String topic() {
    return topic;
  }

  /** The events that were acknowledged so far. */
  List<Event> acknowledged() {
    synchronized (acknowledged) {
      return List.copyOf(acknowledged);
    }
  }

  /** What ended it; null if nothing did. */
  @Nullable HoldfastException failure() {
    return failure;
  }
}
