package dev.holdfast.rules;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** What a store told. */
final class Events implements HealthListener {
  private final List<HealthEvent> all = new CopyOnWriteArrayList<>();

  @Override
  public void onEvent(HealthEvent event) {
    all.add(event);
  }

  boolean contains(HealthEvent.Kind kind, int leg) {
    return all.stream().anyMatch(event -> event.kind() == kind && event.leg() == leg);
  }
}
