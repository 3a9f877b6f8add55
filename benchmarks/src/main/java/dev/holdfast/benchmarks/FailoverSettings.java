package dev.holdfast.benchmarks;

import java.time.Duration;

/**
 * How a failover run goes.
 *
 * @param faults how many faults to inject, one after the other
 * @param warmUp how long the load runs before the first window
 * @param settle how long the load runs, all legs in use again, before each control window
 * @param window how long each window is
 * @param lead how long after the opening of its window the fault is raised
 * @param seed of keys, values and choices
 */
record FailoverSettings(
    int faults, Duration warmUp, Duration settle, Duration window, Duration lead, long seed) {
  FailoverSettings {
    if (faults < 1) {
      throw new IllegalArgumentException("faults: expected one or more, was " + faults);
    }
    if (lead.compareTo(window) >= 0) {
      throw new IllegalArgumentException(
          "lead: expected less than the window of " + window + ", was " + lead);
    }
  }

  static FailoverSettings standard(int faults, long seed) {
    return new FailoverSettings(
        faults,
        Duration.ofSeconds(5),
        Duration.ofMillis(200),
        Duration.ofMillis(500),
        Duration.ofMillis(100),
        seed);
  }

  static FailoverSettings quick(int faults, long seed) {
    return new FailoverSettings(
        faults,
        Duration.ofSeconds(1),
        Duration.ofMillis(50),
        Duration.ofMillis(300),
        Duration.ofMillis(50),
        seed);
  }
}
