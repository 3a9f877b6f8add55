package dev.holdfast.tree;

import dev.holdfast.health.ScrubFault;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Something that a scrub found wrong, in a flight recording. */
@Name("dev.holdfast.ScrubFinding")
@Label("Scrub Finding")
@Description("A scrub found something wrong on a leg; what comes of it is told by health notices")
@Category("Holdfast")
@StackTrace(false)
final class ScrubFindingNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Kind")
  @Description("WRONG_BYTES, LOST_WRITE, MISDIRECTED_WRITE, TORN_WRITE or POISON")
  String kind = "";

  @Label("Leg")
  @Description("The index of the leg")
  int leg;

  @Label("Offset")
  @DataAmount
  long offset;

  @Label("Length")
  @DataAmount
  long length;

  @Label("Metadata")
  @Description("Whether it is known to be metadata")
  boolean metadata;

  @Label("Lost")
  @Description("Whether it is right on no leg; of poison this is not known yet")
  boolean lost;

  static void prepare() {
    var _ = new ScrubFindingNotice().isEnabled();
  }

  /** What is found. */
  record What(ScrubFault kind, boolean isMetadata, boolean isLost) {}

  static void emit(String store, What what, int leg, long offset, long length) {
    ScrubFindingNotice notice = new ScrubFindingNotice();
    if (notice.isEnabled()) {
      notice.store = store;
      notice.kind = what.kind.name();
      notice.leg = leg;
      notice.offset = offset;
      notice.length = length;
      notice.metadata = what.isMetadata;
      notice.lost = what.isLost;
      notice.commit();
    }
  }
}
