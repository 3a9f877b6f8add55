package dev.holdfast.examples.plugpull;

import dev.holdfast.health.HealthEvent;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What happened and when: the example's own stamps and the first event of each kind that the store
 * told.
 *
 * <p><b>Threads:</b> any.
 */
final class Timeline {
  /** One moment, in nanoseconds since the start of the run. */
  record Moment(long nanos, String what, String detail) {}

  private final Phases phases;
  private final List<Moment> stamps = new ArrayList<>();
  private final Map<HealthEvent.Kind, Moment> firstOfKind = new EnumMap<>(HealthEvent.Kind.class);
  private final Map<HealthEvent.Kind, Integer> countOfKind = new EnumMap<>(HealthEvent.Kind.class);

  Timeline(Phases phases) {
    this.phases = phases;
  }

  /** Takes down what the store told. */
  synchronized void event(HealthEvent event) {
    long at = phases.at(event.nanoTime());
    String leg = event.leg() < 0 ? "" : "leg " + event.leg() + ": ";
    Moment moment = new Moment(at, words(event.kind()), leg + event.detail());
    // Events of before the fault (the opening, say) belong to another story.
    if (at >= phases.struckAt()) {
      firstOfKind.merge(event.kind(), moment, (a, b) -> a.nanos() <= b.nanos() ? a : b);
      countOfKind.merge(event.kind(), 1, Integer::sum);
    }
  }

  private static String words(HealthEvent.Kind kind) {
    return kind.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  synchronized void stamp(long nanos, String what, String detail) {
    stamps.add(new Moment(nanos, what, detail));
  }

  /** When the first event of a kind after the fault happened, or null. */
  synchronized @Nullable Long first(HealthEvent.Kind kind) {
    Moment moment = firstOfKind.get(kind);
    return moment == null ? null : moment.nanos();
  }

  synchronized int count(HealthEvent.Kind kind) {
    return countOfKind.getOrDefault(kind, 0);
  }

  /** Everything, in order. */
  synchronized List<Moment> moments() {
    List<Moment> all = new ArrayList<>(stamps);
    firstOfKind.forEach((kind, moment) -> {
      int count = countOfKind.getOrDefault(kind, 1);
      all.add(
          count == 1
              ? moment
              : new Moment(
                  moment.nanos(), moment.what(), moment.detail() + " (first of " + count + ")"));
    });
    all.sort(Comparator.comparingLong(Moment::nanos));
    return all;
  }
}
