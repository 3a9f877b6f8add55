package dev.holdfast;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A compaction that somebody asked for, in a flight recording. */
@Name("dev.holdfast.Compaction")
@Label("Compaction")
@Description("All leaves were written anew, full, because somebody asked for it")
@Category("Holdfast")
@StackTrace(false)
final class CompactionNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Leaves Done")
  long leavesDone;

  @Label("Leaves")
  @Description("How many there were when it began")
  long leaves;

  @Label("Bytes Given Back")
  @Description("Of each leg, to where it lies")
  @DataAmount
  long bytesGivenBack;

  @Label("Complete")
  @Description("Whether it came to its end")
  boolean complete;

  static void prepare() {
    var _ = new CompactionNotice().isEnabled();
  }

  static CompactionNotice begun(String store) {
    CompactionNotice notice = new CompactionNotice();
    notice.store = store;
    notice.begin();
    return notice;
  }

  void end(CompactionProgress progress) {
    leavesDone = progress.leavesDone();
    leaves = progress.leaves();
    bytesGivenBack = progress.bytesGivenBack();
    complete = progress.complete();
    commit();
  }
}
