package dev.holdfast.benchmarks;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * How fast the machine is at the moment: a chain of loads through memory, each of which waits for
 * the one before it, and a copy.
 *
 * <p><b>Threads:</b> the chain is only read once it is made.
 */
final class Chase {
  private static final int LINE = 64;
  private static final int LINE_BITS = 23;
  private static final long LINES = 1L << LINE_BITS;

  /** The bytes of the chain: 512 MiB, far more than any cache. */
  static final long BYTES = LINES * LINE;

  /** The bytes of a copy. */
  static final long COPIED = BYTES / 2;

  private final MemorySegment memory;

  Chase(Arena arena) {
    memory = arena.allocate(BYTES, LINE);
    for (long line = 0; line < LINES; line++) {
      memory.set(ValueLayout.JAVA_LONG, line * LINE, next(line) * LINE);
    }
  }

  /**
   * The line behind a line: all of them are one cycle, in no order that hardware foresees.
   *
   * <p><b>Source:</b> Hull and Dobell, "Random Number Generators", SIAM Review 1962: a full period
   * for a multiplier that is 1 modulo 4 and an odd addend.
   */
  private static long next(long line) {
    return (line * 1_664_525 + 1_013_904_223) & (LINES - 1);
  }

  /** Follows the chain and returns where it ended. */
  long run(long start, long steps) {
    long offset = (start & (LINES - 1)) * LINE;
    for (long i = 0; i < steps; i++) {
      offset = memory.get(ValueLayout.JAVA_LONG, offset);
    }
    return offset / LINE;
  }

  /** Copies half of it to somewhere else; the nanoseconds for {@link #COPIED} bytes. */
  long copy() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment target = arena.allocate(COPIED, LINE);
      // So that no page is touched for the first time while the clock runs.
      target.fill((byte) 1);
      long begin = System.nanoTime();
      MemorySegment.copy(memory, 0, target, 0, COPIED);
      return System.nanoTime() - begin;
    }
  }
}
