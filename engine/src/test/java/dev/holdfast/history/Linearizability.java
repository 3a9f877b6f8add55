package dev.holdfast.history;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Finds out whether a history is linearizable: whether every operation can be given one moment
 * between its begin and its end so that, in the order of these moments, each said what it had to
 * say. Each key is a register, and linearizability is local: keys are looked at one by one.
 *
 * <p>It goes through begins and ends in the order of time and keeps all <em>configurations</em>:
 * the state, and which of the operations that are under way have happened. At the end of an
 * operation those that can be reached by letting others happen first, and then this one, stay. No
 * configuration is left: no order explains it. There are never more than the subsets of what is
 * under way, so a history may be as long as it likes, as long as few operations overlap.
 *
 * <p><b>Source:</b> J. Wing, C. Gong, Testing and Verifying Concurrent Objects, JPDC 17, 1993; the
 * just-in-time order and the memory of configurations as in G. Lowe, Testing for Linearizability,
 * Concurrency and Computation 29(4), 2017.
 */
final class Linearizability {
  /** Operations that overlap, on one key. */
  private static final int MOST_AT_ONCE = Long.SIZE;

  private static final int SHOWN = 16;

  private final long initial;
  private final List<Event> events = new ArrayList<>();
  private final Operation[] underWay = new Operation[MOST_AT_ONCE];
  private long taken;
  private Set<Configuration> configurations = new HashSet<>();

  private Linearizability(long initial, List<Operation> operations) {
    this.initial = initial;
    for (Operation op : operations) {
      if (op.invoked() > op.returned()) {
        throw new IllegalArgumentException("expected a begin before the end, was " + op);
      }
      boolean says = op.returned() != Operation.NEVER;
      if (says || op.isWrite()) {
        events.add(new Event(op.invoked(), true, op));
      }
      if (says) {
        events.add(new Event(op.returned(), false, op));
      }
    }
    // What ends at the moment at which another begins overlaps it.
    events.sort(Comparator.comparingLong(Event::at).thenComparing(event -> !event.begins));
  }

  private record Event(long at, boolean begins, Operation op) {}

  /** Which operations under way have happened, by bit, and what the key is then. */
  private record Configuration(long happened, long state) {}

  /**
   * Judges a history of several keys.
   *
   * @param initial what keys are at first, by number; a key that is not there is absent
   * @return why it is not linearizable; null if it is
   */
  static @Nullable String check(Map<Integer, Long> initial, List<Operation> history) {
    Map<Integer, List<Operation>> byKey = new TreeMap<>();
    for (Operation op : history) {
      byKey.computeIfAbsent(op.key(), key -> new ArrayList<>()).add(op);
    }
    for (Map.Entry<Integer, List<Operation>> each : byKey.entrySet()) {
      long first = initial.getOrDefault(each.getKey(), Operation.ABSENT);
      String violation = new Linearizability(first, each.getValue()).run();
      if (violation != null) {
        return "key " + each.getKey() + ": " + violation;
      }
    }
    return null;
  }

  private @Nullable String run() {
    configurations.add(new Configuration(0, initial));
    IdentityHashMap<Operation, Integer> places = new IdentityHashMap<>();
    for (int i = 0; i < events.size(); i++) {
      Event event = events.get(i);
      if (event.begins) {
        int place = Long.numberOfTrailingZeros(~taken);
        if (place == MOST_AT_ONCE) {
          throw new IllegalArgumentException("expected up to 64 operations at once, were more");
        }
        taken |= 1L << place;
        underWay[place] = event.op;
        places.put(event.op, place);
      } else {
        Integer place = places.remove(event.op);
        if (place == null) {
          throw new IllegalArgumentException("expected each operation once, was " + event.op);
        }
        Set<Configuration> left = complete(place);
        if (left.isEmpty()) {
          return explain(i);
        }
        configurations = left;
        taken &= ~(1L << place);
      }
    }
    return null;
  }

  /** All configurations in which an operation has happened, and is forgotten. */
  private Set<Configuration> complete(int place) {
    long bit = 1L << place;
    Set<Configuration> left = new HashSet<>();
    Set<Configuration> seen = new HashSet<>(configurations);
    Deque<Configuration> open = new ArrayDeque<>(configurations);
    while (!open.isEmpty()) {
      Configuration now = open.pop();
      if ((now.happened & bit) != 0) {
        left.add(new Configuration(now.happened & ~bit, now.state));
        continue;
      }
      for (long rest = taken & ~now.happened; rest != 0; rest &= rest - 1) {
        int next = Long.numberOfTrailingZeros(rest);
        long state = Register.after(now.state, underWay[next]);
        if (state != Register.REFUSED) {
          Configuration then = new Configuration(now.happened | 1L << next, state);
          if (seen.add(then)) {
            open.push(then);
          }
        }
      }
    }
    return left;
  }

  private String explain(int at) {
    StringBuilder text = new StringBuilder("no order explains ");
    text.append(events.get(at).op);
    text.append("\n  it was one of: ");
    Set<String> states = new HashSet<>();
    configurations.forEach(now -> states.add(Long.toHexString(now.state)));
    text.append(String.join(", ", states));
    text.append("\n  under way:");
    for (long rest = taken; rest != 0; rest &= rest - 1) {
      text.append("\n    ").append(underWay[Long.numberOfTrailingZeros(rest)]);
    }
    text.append("\n  ended before, the last one last:");
    List<Operation> before = new ArrayList<>();
    for (int i = at - 1; i >= 0 && before.size() < SHOWN; i--) {
      if (!events.get(i).begins) {
        before.add(events.get(i).op);
      }
    }
    for (Operation op : before.reversed()) {
      text.append("\n    ").append(op);
    }
    return text.toString();
  }
}
