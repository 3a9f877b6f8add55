package dev.holdfast.volume;

import dev.holdfast.health.LegState;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A leg has another state, in a flight recording. */
@Name("dev.holdfast.LegState")
@Label("Leg State")
@Description("A leg of a store has another state")
@Category("Holdfast")
@StackTrace(false)
final class LegStateNotice extends Event {
  @Label("Leg")
  @Description("The index of the leg")
  int leg;

  @Label("Device")
  @Description("Where the device of the leg lies")
  String device = "";

  @Label("From")
  String from = "";

  @Label("To")
  String to = "";

  static void prepare() {
    var _ = new LegStateNotice().isEnabled();
  }

  static void emit(Leg leg, LegState from, LegState to) {
    LegStateNotice notice = new LegStateNotice();
    if (from != to && notice.isEnabled()) {
      notice.leg = leg.index();
      notice.device = leg.device().name();
      notice.from = from.name();
      notice.to = to.name();
      notice.commit();
    }
  }
}
