package dev.holdfast.examples.plugpull;

import java.util.ArrayList;
import java.util.List;

/**
 * What must hold at the end, by what was expected of the fault. Pure.
 *
 * @param exitCode of the program
 * @param unmet what did not hold, one line each
 */
record Verdict(int exitCode, List<String> unmet) {
  /** Everything held. */
  static final int GOOD = 0;

  /** Something was lost, wrong or failed, or is not as the fault has it. */
  static final int DAMAGED = 1;

  /** A thread did too little before or after the fault for the figures to mean anything. */
  static final int TOO_FEW_OPERATIONS = 3;

  /** With every copy gone the data was unavailable, and the store said nothing but that. */
  static final int UNAVAILABLE = 4;

  private static final long CLOSE_MILLIS_MAX = 1000;

  /**
   * What the judgement needs besides the figures.
   *
   * @param silentlyLost entries that were absent, where a typed exception was due
   * @param refusedReads reads that were refused as expected
   * @param refusedWrites writes that were refused as expected
   * @param acknowledgedAfterLoss writes acknowledged where none may be
   * @param closeMillis how long the first close took
   * @param fewestBefore operations before the fault, of the thread that did least
   * @param fewestAfter operations after it, of the thread that did least
   * @param problems what the course itself found
   */
  record Facts(
      int silentlyLost,
      long refusedReads,
      long refusedWrites,
      long acknowledgedAfterLoss,
      long closeMillis,
      long fewestBefore,
      long fewestAfter,
      List<String> problems) {}

  static Verdict of(Settings settings, Result result, Facts facts) {
    List<String> unmet = new ArrayList<>(facts.problems());
    Expectation expectation = settings.expectation();
    boolean lossExpected = expectation == Expectation.NAMED_LOSS;
    require(unmet, lossExpected || result.lost() == 0, "lost: expected 0, was " + result.lost());
    require(unmet, result.wrong() == 0, "wrong: expected 0, was " + result.wrong());
    require(unmet, result.failed() == 0, "failed: expected 0, was " + result.failed());
    require(
        unmet,
        facts.silentlyLost() == 0,
        "lost without a DataLostException: expected 0, was " + facts.silentlyLost());
    require(
        unmet,
        facts.acknowledgedAfterLoss() == 0,
        "acknowledged where nothing may be: expected 0, was " + facts.acknowledgedAfterLoss());
    boolean faultDue =
        switch (settings.fault()) {
          case REMOVE, POISON, KILL, FS_SHUTDOWN, FS_SHUTDOWN_KILL -> settings.mirrored();
          // A page that the store has no cause to touch, and is never told of, stays unnoticed.
          case POISON_METADATA -> settings.mirrored() && settings.notifyAfter() != null;
          case REMOVE_BOTH, NONE -> false;
        };
    require(
        unmet,
        !faultDue || result.faultsCaught() > 0,
        "faultsCaught: expected > 0, was " + result.faultsCaught());
    require(
        unmet,
        settings.fault() != FaultChoice.NONE || result.faultsCaught() == 0,
        "faultsCaught: expected 0 without a fault, was " + result.faultsCaught());
    switch (expectation) {
      case NOTHING_LOST, NAMED_LOSS -> {}
      case READ_ONLY -> {
        require(unmet, facts.refusedWrites() > 0, "refused writes: expected > 0, was 0");
        require(
            unmet,
            result.state().equals("READ_ONLY"),
            "state: expected READ_ONLY, was " + result.state());
      }
      case UNAVAILABLE -> {
        require(unmet, facts.refusedWrites() > 0, "refused writes: expected > 0, was 0");
        require(unmet, facts.refusedReads() > 0, "refused reads: expected > 0, was 0");
        require(
            unmet,
            facts.closeMillis() <= CLOSE_MILLIS_MAX,
            "close: expected at most 1000 ms, was " + facts.closeMillis());
      }
    }
    return new Verdict(exitCode(settings, facts, unmet), unmet);
  }

  private static int exitCode(Settings settings, Facts facts, List<String> unmet) {
    if (!unmet.isEmpty()) {
      return DAMAGED;
    }
    if (facts.fewestBefore() < settings.minOperations()
        || facts.fewestAfter() < settings.minOperations()) {
      return TOO_FEW_OPERATIONS;
    }
    return settings.expectation() == Expectation.UNAVAILABLE ? UNAVAILABLE : GOOD;
  }

  private static void require(List<String> unmet, boolean holds, String otherwise) {
    if (!holds) {
      unmet.add(otherwise);
    }
  }
}
