package dev.holdfast.history;

import static dev.holdfast.history.Operation.ABSENT;
import static dev.holdfast.history.Operation.LOST;
import static dev.holdfast.history.Operation.NEVER;
import static dev.holdfast.history.Operation.NO;
import static dev.holdfast.history.Operation.YES;

/** What one key is, one operation after the other: absent, lost, or a value by its number. */
final class Register {
  /** The operation cannot have said what it said. */
  static final long REFUSED = Long.MIN_VALUE;

  private Register() {}

  /** The state behind an operation; {@link #REFUSED} if it cannot happen in this state. */
  static long after(long state, Operation op) {
    boolean says = op.returned() != NEVER;
    return switch (op.kind()) {
      case GET, SCAN -> !says || op.result() == state ? state : REFUSED;
      case CONTAINS -> judge(op, says, state == LOST ? LOST : state == ABSENT ? NO : YES, state);
      case PUT -> op.value();
      case PUT_IF_ABSENT -> conditional(op, says, state, state == ABSENT);
      case REPLACE -> conditional(op, says, state, state != ABSENT);
      case REPLACE_EQUAL -> conditional(op, says, state, state == op.expected());
      // To remove what is lost is to know again: it is absent then.
      case REMOVE -> judge(op, says, state == ABSENT ? NO : YES, ABSENT);
      case GET_AND_PUT -> judge(op, says, state, state == LOST ? LOST : op.value());
      case GET_AND_PUT_IF_ABSENT -> judge(op, says, state, state == ABSENT ? op.value() : state);
      case GET_AND_REMOVE -> judge(op, says, state, state == LOST ? LOST : ABSENT);
      case REMOVE_EQUAL ->
          state == LOST
              ? judge(op, says, LOST, LOST)
              : judge(
                  op,
                  says,
                  state == op.expected() ? YES : NO,
                  state == op.expected() ? ABSENT : state);
      case LOSE -> state > ABSENT ? LOST : REFUSED;
    };
  }

  /** Where the value is lost, nobody can say whether the condition holds. */
  private static long conditional(Operation op, boolean says, long state, boolean holds) {
    return state == LOST
        ? judge(op, says, LOST, LOST)
        : judge(op, says, holds ? YES : NO, holds ? op.value() : state);
  }

  private static long judge(Operation op, boolean says, long right, long next) {
    return !says || op.result() == right ? next : REFUSED;
  }
}
