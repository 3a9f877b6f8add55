package dev.holdfast.volume;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Frequency;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** How far a leg has been copied to, in a flight recording. */
@Name("dev.holdfast.ResilverProgress")
@Label("Resilver Progress")
@Description("How far a leg has been copied to: where it begins, now and then, and where it ends")
@Category("Holdfast")
@StackTrace(false)
final class ResilverNotice extends Event {
  /** What a copy is at. */
  enum Phase {
    /** It goes on. */
    RUNNING,
    /** The leg holds everything. */
    COMPLETE,
    /** It was cut off, and goes on there when it is begun again. */
    CUT_OFF
  }

  @Label("Leg")
  @Description("The index of the leg that is copied to")
  int leg;

  @Label("Device")
  @Description("Where the device of the leg lies")
  String device = "";

  @Label("Kind")
  @Description("WHOLE: everything is copied; DELTA: what the leg missed")
  String kind = "";

  @Label("Phase")
  @Description("RUNNING, COMPLETE or CUT_OFF")
  String phase = "";

  @Label("Bytes Copied")
  @Description("Copied and read back")
  @DataAmount
  long bytesCopied;

  @Label("Bytes to Copy")
  @Description("In all, as was known when it began")
  @DataAmount
  long bytesToCopy;

  @Label("Rate")
  @Description("Bytes copied in a second, on the average")
  @DataAmount
  @Frequency
  long rate;

  @Label("Remaining")
  @Description("How long it will take yet at this rate; none where it is not known")
  @Timespan(Timespan.MILLISECONDS)
  long remaining;

  @Label("Elapsed")
  @Timespan(Timespan.NANOSECONDS)
  long elapsed;

  static void prepare() {
    var _ = new ResilverNotice().isEnabled();
  }

  static void emit(Leg leg, CopyState state, Phase phase) {
    ResilverNotice notice = new ResilverNotice();
    if (notice.isEnabled()) {
      notice.leg = state.leg();
      notice.device = leg.device().name();
      notice.kind = state.whole() ? "WHOLE" : "DELTA";
      notice.phase = phase.name();
      notice.bytesCopied = state.bytesDone();
      notice.bytesToCopy = state.bytesTotal();
      notice.rate = state.bytesPerSecond();
      notice.remaining = state.remainingMillis(Long.MIN_VALUE);
      notice.elapsed = state.nanos();
      notice.commit();
    }
  }
}
