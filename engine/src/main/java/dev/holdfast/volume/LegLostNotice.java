package dev.holdfast.volume;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** A leg was lost and the others took over, in a flight recording. */
@Name("dev.holdfast.LegLost")
@Label("Leg Lost")
@Description("A leg was lost under use, and what was left took over; how long each step took")
@Category("Holdfast")
@StackTrace(false)
final class LegLostNotice extends Event {
  /** What a time says that has no meaning; tools show it as such. */
  private static final long NONE = Long.MIN_VALUE;

  @Label("Leg")
  @Description("The index of the leg")
  int leg;

  @Label("Device")
  @Description("Where the device of the leg lies")
  String device = "";

  @Label("Cause")
  String cause = "";

  @Label("Legs Left")
  @Description("How many legs can be read from now on")
  int legsLeft;

  @Label("Reads Switched After")
  @Description("From the fault to reads of the other legs alone")
  @Timespan(Timespan.NANOSECONDS)
  long readsSwitchedAfter;

  @Label("Marked After")
  @Description(
      "From the fault to the durable mark that the leg is stale; none where nothing can be written")
  @Timespan(Timespan.NANOSECONDS)
  long markedAfter;

  @Label("Writes Switched After")
  @Description(
      "From the fault to writes to the other legs alone; none where nothing can be written")
  @Timespan(Timespan.NANOSECONDS)
  long writesSwitchedAfter;

  static void prepare() {
    var _ = new LegLostNotice().isEnabled();
  }

  /**
   * When what was done, by {@link System#nanoTime}.
   *
   * @param caught the fault was caught
   * @param read the read set was switched
   * @param marked the mark was durable
   * @param written the write set was switched
   */
  record Times(long caught, long read, long marked, long written) {}

  /**
   * Records it.
   *
   * @param isWritten whether any leg can be written to from now on
   */
  static void emit(Leg leg, String cause, int legsLeft, Times times, boolean isWritten) {
    LegLostNotice notice = new LegLostNotice();
    if (notice.isEnabled()) {
      notice.leg = leg.index();
      notice.device = leg.device().name();
      notice.cause = cause;
      notice.legsLeft = legsLeft;
      notice.readsSwitchedAfter = times.read - times.caught;
      notice.markedAfter = isWritten ? times.marked - times.caught : NONE;
      notice.writesSwitchedAfter = isWritten ? times.written - times.caught : NONE;
      notice.commit();
    }
  }
}
