package dev.holdfast.history;

/**
 * One operation on one key: what it was asked, what it said, and between which two moments it took
 * effect.
 *
 * @param key which key, by number
 * @param thread who did it
 * @param kind what was asked
 * @param value what it writes; each write of a history has a number of its own, above 0
 * @param expected what {@link Kind#REPLACE_EQUAL} and {@link Kind#REMOVE_EQUAL} ask for
 * @param result of a get or a walk the value or {@link #ABSENT}, of the others {@link #YES} or
 *     {@link #NO}; {@link #LOST} where it said so
 * @param invoked before it began, in nanoseconds
 * @param returned behind its end; {@link #NEVER} if nobody knows whether it took effect
 */
record Operation(
    int key,
    int thread,
    Kind kind,
    long value,
    long expected,
    long result,
    long invoked,
    long returned) {
  static final long ABSENT = 0;
  static final long NO = 0;
  static final long YES = 1;
  static final long LOST = -1;
  static final long NEVER = Long.MAX_VALUE;

  /** What is asked of a key. */
  enum Kind {
    GET,

    /** What a walk over all keys says of one: the same as a get, at some moment of the walk. */
    SCAN,
    CONTAINS,
    PUT,
    PUT_IF_ABSENT,
    REPLACE,
    REPLACE_EQUAL,
    REMOVE,

    /** Says what there was; as all that follow, one that was read, modified and written. */
    GET_AND_PUT,
    GET_AND_PUT_IF_ABSENT,
    GET_AND_REMOVE,
    REMOVE_EQUAL,

    /** The only copy of the key's record goes: a fault does that, if it hits the record. */
    LOSE
  }

  boolean isWrite() {
    return kind != Kind.GET && kind != Kind.SCAN && kind != Kind.CONTAINS;
  }

  private static String name(long number) {
    return number == ABSENT ? "-" : number == LOST ? "lost" : Long.toHexString(number);
  }

  @Override
  public String toString() {
    String asked =
        switch (kind) {
          case GET, SCAN, CONTAINS, REMOVE, GET_AND_REMOVE, LOSE -> "";
          case PUT, PUT_IF_ABSENT, REPLACE, GET_AND_PUT, GET_AND_PUT_IF_ABSENT -> name(value);
          case REMOVE_EQUAL -> name(expected);
          case REPLACE_EQUAL -> name(expected) + " -> " + name(value);
        };
    String said = returned == NEVER ? "?" : name(result);
    return "[%d, %s] thread %d: %s(%s) = %s"
        .formatted(invoked, returned == NEVER ? "?" : returned, thread, kind, asked, said);
  }
}
