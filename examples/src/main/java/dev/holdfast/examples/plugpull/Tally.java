package dev.holdfast.examples.plugpull;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.ReadOnlyStoreException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Counts what went wrong, by the ledger: entries lost, entries wrong, operations failed; and what
 * was refused as the fault has it.
 *
 * <p><b>Threads:</b> any.
 */
final class Tally {
  private static final int TOLD_AT_MOST = 8;

  private final Expectation expectation;
  private final Phases phases;
  private final BitSet lost = new BitSet();
  private final BitSet silentlyLost = new BitSet();
  private final BitSet wrong = new BitSet();
  private final List<String> messages = new ArrayList<>();
  private long messagesLeftOut;
  private long failed;
  private long refusedReads;
  private long refusedWrites;
  private long acknowledgedAfterLoss;
  private long firstReadOnlyAt = Phases.NEVER;

  Tally(Expectation expectation, Phases phases) {
    this.expectation = expectation;
    this.phases = phases;
  }

  /** An acknowledged entry is not there. */
  synchronized void lost(int index, String what) {
    if (!lost.get(index)) {
      lost.set(index);
      if (expectation != Expectation.NAMED_LOSS) {
        tell("lost: entry " + index + ": " + what);
      }
    }
  }

  /** An acknowledged entry is not there, and the store did not even say that it is lost. */
  synchronized void silent(int index) {
    silentlyLost.set(index);
  }

  /** An entry is there and not what was written. */
  synchronized void wrong(int index, String what) {
    if (!wrong.get(index)) {
      wrong.set(index);
      tell("wrong: entry " + index + ": " + what);
    }
  }

  /** Adds what another process counted. */
  synchronized void add(BitSet lostThere, BitSet wrongThere, long failedThere) {
    lost.or(lostThere);
    wrong.or(wrongThere);
    failed += failedThere;
  }

  synchronized void failed(String what) {
    failed++;
    tell("failed: " + what);
  }

  /** A read threw. */
  synchronized void readThrew(int index, Throwable thrown) {
    boolean struck = phases.struckAt() != Phases.NEVER;
    if (thrown instanceof DataLostException) {
      lost(index, thrown.toString());
    } else if (struck
        && expectation == Expectation.UNAVAILABLE
        && thrown instanceof DeviceOfflineException) {
      refusedReads++;
    } else {
      failed("read of entry " + index + " threw " + describe(thrown));
    }
  }

  /** A write threw. */
  synchronized void writeThrew(int index, Throwable thrown) {
    boolean struck = phases.struckAt() != Phases.NEVER;
    boolean readOnly = thrown instanceof ReadOnlyStoreException && thrown.getCause() != null;
    boolean offline = thrown instanceof DeviceOfflineException;
    boolean expected =
        switch (expectation) {
          case READ_ONLY -> readOnly;
          case UNAVAILABLE -> offline || readOnly;
          case NOTHING_LOST, NAMED_LOSS -> false;
        };
    if (struck && expected) {
      refusedWrites++;
      firstReadOnlyAt = Math.min(firstReadOnlyAt, phases.now());
    } else {
      failed("write of entry " + index + " threw " + describe(thrown));
    }
  }

  /** A write that began at {@code start} was acknowledged. */
  synchronized void acknowledged(int index, long start) {
    boolean afterLoss =
        switch (expectation) {
          case UNAVAILABLE -> start >= phases.injectedAt();
          case READ_ONLY -> start >= firstReadOnlyAt;
          case NOTHING_LOST, NAMED_LOSS -> false;
        };
    if (afterLoss) {
      acknowledgedAfterLoss++;
      tell("entry " + index + ": acknowledged where nothing may be acknowledged any more");
    }
  }

  private static String describe(Throwable thrown) {
    StackTraceElement[] stack = thrown.getStackTrace();
    return thrown + (stack.length == 0 ? "" : " at " + stack[0]);
  }

  private void tell(String message) {
    if (messages.size() < TOLD_AT_MOST) {
      messages.add(message);
    } else {
      messagesLeftOut++;
    }
  }

  synchronized List<String> messages() {
    List<String> all = new ArrayList<>(messages);
    if (messagesLeftOut > 0) {
      all.add("… and " + messagesLeftOut + " more");
    }
    return all;
  }

  synchronized BitSet lostEntries() {
    return (BitSet) lost.clone();
  }

  synchronized int silentlyLost() {
    return silentlyLost.cardinality();
  }

  synchronized BitSet wrongEntries() {
    return (BitSet) wrong.clone();
  }

  synchronized long failed() {
    return failed;
  }

  synchronized long refusedReads() {
    return refusedReads;
  }

  synchronized long refusedWrites() {
    return refusedWrites;
  }

  synchronized long acknowledgedAfterLoss() {
    return acknowledgedAfterLoss;
  }
}
