package dev.holdfast.history;

import static dev.holdfast.history.Operation.ABSENT;
import static dev.holdfast.history.Operation.LOST;
import static dev.holdfast.history.Operation.NEVER;
import static dev.holdfast.history.Operation.NO;
import static dev.holdfast.history.Operation.YES;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.history.Operation.Kind;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The checker, on histories that people can judge, and against one that tries every order. */
final class LinearizabilityTest {
  private static final Map<Integer, Long> NOTHING = Map.of();

  /** What is asked, and not done by a fault. */
  private static final List<Kind> ASKED = List.copyOf(EnumSet.complementOf(EnumSet.of(Kind.LOSE)));

  private final List<Operation> history = new ArrayList<>();

  /** Each line of a history: who, from when to when, what, and what it said. */
  private LinearizabilityTest op(
      int thread, long from, long to, Kind kind, long value, long result) {
    history.add(new Operation(0, thread, kind, value, ABSENT, result, from, to));
    return this;
  }

  private LinearizabilityTest swap(
      int thread, long from, long to, long expected, long value, long result) {
    history.add(new Operation(0, thread, Kind.REPLACE_EQUAL, value, expected, result, from, to));
    return this;
  }

  private void holds() {
    assertNull(Linearizability.check(NOTHING, history));
  }

  private void isRefused(String because) {
    String why = Linearizability.check(NOTHING, history);
    assertNotNull(why, "taken for linearizable");
    assertTrue(why.contains(because), why);
  }

  @Test
  void oneAfterTheOther() {
    op(1, 0, 1, Kind.GET, 0, ABSENT)
        .op(1, 2, 3, Kind.PUT, 7, YES)
        .op(2, 4, 5, Kind.GET, 0, 7)
        .op(2, 6, 7, Kind.PUT_IF_ABSENT, 8, NO)
        .op(1, 8, 9, Kind.REPLACE, 9, YES)
        .swap(2, 10, 11, 7, 10, NO)
        .swap(2, 12, 13, 9, 11, YES)
        .op(1, 14, 15, Kind.CONTAINS, 0, YES)
        .op(1, 16, 17, Kind.REMOVE, 0, YES)
        .op(1, 18, 19, Kind.REMOVE, 0, NO)
        .op(2, 20, 21, Kind.CONTAINS, 0, NO)
        .op(2, 22, 23, Kind.REPLACE, 12, NO)
        .op(2, 24, 25, Kind.PUT_IF_ABSENT, 13, YES)
        .op(1, 26, 27, Kind.GET, 0, 13)
        .holds();
  }

  @Test
  void whatOverlapsMayHappenInEitherOrder() {
    op(1, 0, 10, Kind.PUT, 1, YES)
        .op(2, 1, 9, Kind.PUT, 2, YES)
        .op(3, 2, 3, Kind.GET, 0, 2)
        .op(3, 4, 5, Kind.GET, 0, 1)
        .op(3, 11, 12, Kind.GET, 0, 1)
        .holds();
  }

  /** The first guess has to be taken back: 2 has to come before 1, as only the last line shows. */
  @Test
  void guessesAreTakenBack() {
    op(1, 0, 100, Kind.PUT, 1, YES)
        .op(2, 0, 100, Kind.PUT, 2, YES)
        .op(3, 0, 100, Kind.PUT, 3, YES)
        .op(4, 0, 100, Kind.REMOVE, 0, NO)
        .swap(5, 0, 100, 3, 4, YES)
        .op(6, 101, 102, Kind.GET, 0, 4)
        .holds();
  }

  @Test
  void readThatIsStaleIsFound() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 3, Kind.PUT, 2, YES)
        .op(2, 4, 5, Kind.GET, 0, 1)
        .isRefused("GET() = 1");
  }

  /** Seen once, the new value stays, though its write is still under way. */
  @Test
  void readThatGoesBackIsFound() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 20, Kind.PUT, 2, YES)
        .op(2, 4, 5, Kind.GET, 0, 2)
        .op(3, 6, 7, Kind.GET, 0, 1)
        .isRefused("GET() = 1");
  }

  @Test
  void updateThatIsLostIsFound() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .swap(1, 2, 6, 1, 2, YES)
        .swap(2, 3, 7, 1, 3, YES)
        .isRefused("REPLACE_EQUAL(1 -> ");
  }

  @Test
  void putThatIsOverwrittenByAnEarlierOneIsFound() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(2, 2, 3, Kind.PUT, 2, YES)
        .op(3, 4, 5, Kind.GET, 0, 2)
        .op(3, 6, 7, Kind.GET, 0, 1)
        .isRefused("GET() = 1");
  }

  @Test
  void deleteThatIsUndoneIsFound() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 3, Kind.REMOVE, 0, YES)
        .op(2, 4, 5, Kind.GET, 0, ABSENT)
        .op(2, 6, 7, Kind.GET, 0, 1)
        .isRefused("GET() = 1");
  }

  @Test
  void deleteThatIsUndoneIsFoundByWhoAsksWhetherItIsThere() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 3, Kind.REMOVE, 0, YES)
        .op(2, 4, 5, Kind.CONTAINS, 0, YES)
        .isRefused("CONTAINS() = 1");
  }

  @Test
  void ofTwoThatFindNothingOneIsWrong() {
    op(1, 0, 10, Kind.PUT_IF_ABSENT, 1, YES)
        .op(2, 0, 10, Kind.PUT_IF_ABSENT, 2, YES)
        .isRefused("PUT_IF_ABSENT");
  }

  @Test
  void ofTwoThatRemoveOneValueOneIsWrong() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 10, Kind.REMOVE, 0, YES)
        .op(2, 2, 10, Kind.REMOVE, 0, YES)
        .isRefused("REMOVE");
  }

  @Test
  void valueThatNobodyWroteIsFound() {
    op(1, 0, 9, Kind.PUT, 1, YES).op(2, 0, 9, Kind.GET, 0, 5).isRefused("GET() = 5");
  }

  @Test
  void valueFromTheFutureIsFound() {
    op(2, 0, 1, Kind.GET, 0, 1).op(1, 2, 3, Kind.PUT, 1, YES).isRefused("GET() = 1");
  }

  @Test
  void whatEndsWhenAnotherBeginsOverlapsIt() {
    op(1, 0, 5, Kind.PUT, 1, YES).op(2, 5, 9, Kind.GET, 0, ABSENT).holds();
  }

  @Test
  void writeThatFailedMayHappenLaterOnceOrNever() {
    op(1, 0, NEVER, Kind.PUT, 1, 0)
        .op(2, 2, 3, Kind.GET, 0, ABSENT)
        .op(2, 4, 5, Kind.PUT, 2, YES)
        .op(2, 6, 7, Kind.GET, 0, 1)
        .op(2, 8, 9, Kind.PUT, 3, YES)
        .op(2, 10, 11, Kind.GET, 0, 3)
        .holds();
    op(2, 12, 13, Kind.GET, 0, 1).isRefused("GET() = 1");
  }

  @Test
  void readThatFailedSaysNothing() {
    op(1, 0, NEVER, Kind.GET, 0, 5).op(2, 2, 3, Kind.GET, 0, ABSENT).holds();
  }

  @Test
  void whatIsLostIsNeitherAbsentNorOldUntilItIsWritten() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(9, 2, NEVER, Kind.LOSE, 0, 0)
        .op(1, 3, 4, Kind.GET, 0, 1)
        .op(1, 5, 6, Kind.GET, 0, LOST)
        .op(1, 7, 8, Kind.PUT_IF_ABSENT, 2, LOST)
        .op(1, 9, 10, Kind.CONTAINS, 0, LOST)
        .op(1, 11, 12, Kind.PUT, 3, YES)
        .op(1, 13, 14, Kind.GET, 0, 3)
        .holds();
    op(1, 15, 16, Kind.GET, 0, LOST).isRefused("GET() = lost");
  }

  @Test
  void whatIsLostDoesNotBecomeAbsent() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(9, 2, NEVER, Kind.LOSE, 0, 0)
        .op(1, 3, 4, Kind.GET, 0, ABSENT)
        .isRefused("GET() = -");
  }

  @Test
  void whatWasRemovedIsNotLost() {
    op(1, 0, 1, Kind.PUT, 1, YES)
        .op(1, 2, 3, Kind.REMOVE, 0, YES)
        .op(9, 4, NEVER, Kind.LOSE, 0, 0)
        .op(1, 5, 6, Kind.GET, 0, LOST)
        .isRefused("GET() = lost");
  }

  @Test
  void keysAreJudgedApartAndNamed() {
    history.add(new Operation(3, 1, Kind.GET, 0, 0, 17, 0, 1));
    history.add(new Operation(4, 1, Kind.GET, 0, 0, ABSENT, 0, 1));
    assertNull(Linearizability.check(Map.of(3, 17L), history));
    isRefused("key 3");
  }

  /** Histories that were made by giving each operation a moment are accepted, however long. */
  @Test
  void longHistoriesThatAreRightAreAccepted() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("longHistoriesThatAreRightAreAccepted: -Dseed=" + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 10; round++) {
      List<Operation> right = made(random, 8, 20_000);
      assertNull(Linearizability.check(NOTHING, right));
    }
  }

  /** Small ones, of which about a half are wrong, are judged as trying every order does. */
  @Test
  void judgesAsTryingEveryOrderDoes() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("judgesAsTryingEveryOrderDoes: -Dseed=" + seed);
    Random random = new Random(seed);
    int wrong = 0;
    for (int round = 0; round < 20_000; round++) {
      List<Operation> small = new ArrayList<>(made(random, 2 + random.nextInt(3), 6));
      for (int changes = random.nextInt(3); changes > 0; changes--) {
        int i = random.nextInt(small.size());
        Operation op = small.get(i);
        long result = saysWhatThereIs(op.kind()) ? random.nextInt(7) : random.nextInt(2);
        long end = random.nextInt(8) == 0 ? NEVER : op.returned();
        small.set(
            i,
            new Operation(
                0, op.thread(), op.kind(), op.value(), op.expected(), result, op.invoked(), end));
      }
      boolean expected = everyOrder(small, ABSENT);
      String actual = Linearizability.check(NOTHING, small);
      assertEquals(expected, actual == null, () -> small + "\n" + actual);
      wrong += expected ? 0 : 1;
    }
    assertTrue(wrong > 2_000 && wrong < 18_000, "of the histories were wrong: " + wrong);
  }

  private static boolean saysWhatThereIs(Kind kind) {
    return switch (kind) {
      case GET, SCAN, GET_AND_PUT, GET_AND_PUT_IF_ABSENT, GET_AND_REMOVE -> true;
      default -> false;
    };
  }

  /** A history of several threads in which each operation happens somewhere in its interval. */
  private static List<Operation> made(Random random, int threads, int count) {
    long[] free = new long[threads];
    List<Operation> made = new ArrayList<>();
    long state = ABSENT;
    long moment = 0;
    for (int i = 0; i < count; i++) {
      int thread = random.nextInt(threads);
      moment = Math.max(moment, free[thread]) + 1 + random.nextInt(10);
      long from = Math.max(free[thread], moment - random.nextInt(40));
      long to = moment + random.nextInt(40);
      free[thread] = to + 1;
      Kind kind = ASKED.get(random.nextInt(ASKED.size()));
      long expected = random.nextBoolean() ? state : 1 + random.nextInt(count);
      Operation asked = new Operation(0, thread, kind, i + 1, expected, 0, from, NEVER);
      long result =
          switch (kind) {
            case GET, SCAN, GET_AND_PUT, GET_AND_PUT_IF_ABSENT, GET_AND_REMOVE -> state;
            case PUT -> YES;
            case PUT_IF_ABSENT -> state == ABSENT ? YES : NO;
            case REPLACE_EQUAL, REMOVE_EQUAL -> state != ABSENT && state == expected ? YES : NO;
            default -> state == ABSENT ? NO : YES;
          };
      if ((kind == Kind.REPLACE_EQUAL || kind == Kind.REMOVE_EQUAL) && expected == ABSENT) {
        continue;
      }
      state = Register.after(state, asked);
      made.add(new Operation(0, thread, kind, i + 1, expected, result, from, to));
    }
    return made;
  }

  private static boolean everyOrder(List<Operation> rest, long state) {
    if (rest.stream().allMatch(op -> op.returned() == NEVER)) {
      return true;
    }
    for (int i = 0; i < rest.size(); i++) {
      Operation next = rest.get(i);
      // It cannot have ended before itself.
      boolean mayBeNext = rest.stream().noneMatch(op -> op.returned() < next.invoked());
      long then = mayBeNext ? Register.after(state, next) : Register.REFUSED;
      if (then != Register.REFUSED) {
        List<Operation> left = new ArrayList<>(rest);
        left.remove(i);
        if (everyOrder(left, then)) {
          return true;
        }
      }
    }
    return false;
  }
}
