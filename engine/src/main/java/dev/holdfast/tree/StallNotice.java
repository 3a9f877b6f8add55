package dev.holdfast.tree;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Threshold;

/** An operation that had to start over because a leg faulted under it, in a flight recording. */
@Name("dev.holdfast.Stall")
@Label("Stall")
@Description(
    "An operation that came through: from the first fault, or change of the legs, under it to its"
        + " end")
@Category("Holdfast")
@StackTrace(false)
@Threshold("1 ms")
final class StallNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Starts")
  @Description("How often it started over")
  int starts;

  static void prepare() {
    var _ = new StallNotice().isEnabled();
  }

  /** Begins to count, and counts the first time. */
  static StallNotice begun() {
    StallNotice notice = new StallNotice();
    notice.begin();
    return notice;
  }

  void end(String place) {
    end();
    if (shouldCommit()) {
      store = place;
      commit();
    }
  }
}
