package dev.holdfast;

import java.time.Duration;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Frequency;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** How far a scrub is, in a flight recording. */
@Name("dev.holdfast.ScrubProgress")
@Label("Scrub Progress")
@Description("How far a scrub is: where it begins, now and then, and where it ends")
@Category("Holdfast")
@StackTrace(false)
final class ScrubNotice extends Event {
  /** What a scrub is at. */
  enum Phase {
    /** It goes on. */
    RUNNING,
    /** Everything was read. */
    COMPLETE,
    /** It was cut off; one in the background goes on there later. */
    CUT_OFF
  }

  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Asked For")
  @Description("Whether somebody asked for it; else it is the one in the background")
  boolean askedFor;

  @Label("Phase")
  @Description("RUNNING, COMPLETE or CUT_OFF")
  String phase = "";

  @Label("Leaves Done")
  @Description("Of one that was resumed, those before that, too")
  long leavesDone;

  @Label("Leaves")
  @Description("In all, as was known when it began")
  long leaves;

  @Label("Bytes Read")
  @Description("Of all legs together")
  @DataAmount
  long bytesRead;

  @Label("Rate")
  @Description("Bytes read in a second, on the average")
  @DataAmount
  @Frequency
  long rate;

  @Label("Faults")
  @Description("What was found wrong so far")
  long faults;

  @Label("Repaired")
  @Description("How much of that is right now")
  long repaired;

  @Label("Remaining")
  @Description("How long it will take yet at this rate; none where it is not known")
  @Timespan(Timespan.MILLISECONDS)
  long remaining;

  static void prepare() {
    var _ = new ScrubNotice().isEnabled();
  }

  /** Whether anybody records them: it costs something to say how far it is. */
  static boolean isWanted() {
    return new ScrubNotice().isEnabled();
  }

  static void emit(String store, boolean askedFor, Phase phase, ScrubProgress progress) {
    ScrubNotice notice = new ScrubNotice();
    notice.store = store;
    notice.askedFor = askedFor;
    notice.phase = phase.name();
    notice.leavesDone = progress.leavesDone();
    notice.leaves = progress.leaves();
    notice.bytesRead = progress.bytesRead();
    notice.rate = progress.bytesPerSecond();
    notice.faults = progress.faults();
    notice.repaired = progress.repaired();
    Duration remaining = progress.remaining();
    // Tools show it as what is not known.
    notice.remaining = remaining == null ? Long.MIN_VALUE : remaining.toMillis();
    notice.commit();
  }
}
