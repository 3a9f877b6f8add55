package dev.holdfast.volume;

import dev.holdfast.health.RangeOrigin;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A range of a leg cannot be read any more, in a flight recording. */
@Name("dev.holdfast.BadRange")
@Label("Bad Range")
@Description("A range of a leg cannot be read any more; reads go around it")
@Category("Holdfast")
@StackTrace(false)
final class BadRangeNotice extends Event {
  @Label("Leg")
  @Description("The index of the leg")
  int leg;

  @Label("Device")
  @Description("Where the device of the leg lies")
  String device = "";

  @Label("Offset")
  @DataAmount
  long offset;

  @Label("Length")
  @DataAmount
  long length;

  @Label("Origin")
  @Description("Who found out")
  String origin = "";

  static void prepare() {
    var _ = new BadRangeNotice().isEnabled();
  }

  static void emit(Leg leg, LegRange range, RangeOrigin origin) {
    BadRangeNotice notice = new BadRangeNotice();
    if (notice.isEnabled()) {
      notice.leg = leg.index();
      notice.device = leg.device().name();
      notice.offset = range.offset();
      notice.length = range.length();
      notice.origin = origin.name();
      notice.commit();
    }
  }
}
