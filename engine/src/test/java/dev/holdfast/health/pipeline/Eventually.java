package dev.holdfast.health.pipeline;

import java.time.Duration;
import org.awaitility.Awaitility;
import org.awaitility.core.ConditionFactory;

/** Waits at the edge of another thread, looking often. */
final class Eventually {
  private Eventually() {}

  static ConditionFactory await() {
    return Awaitility.with()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .atMost(Duration.ofSeconds(20))
        .await();
  }
}
