package dev.holdfast.tree;

import dev.holdfast.pmem.PersistenceMode;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Threshold;

/**
 * A round of the group commit, in a flight recording; only where {@link PersistenceMode#FILE} or
 * more was asked for are there any.
 */
@Name("dev.holdfast.Commit")
@Label("Commit")
@Description("A group commit: what was stored since the last one was carried to the media")
@Category("Holdfast")
@StackTrace(false)
@Threshold("10 ms")
final class CommitNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Bytes")
  @Description("Written back on each leg, in whole pages")
  @DataAmount
  long bytes;

  @Label("Ranges")
  @Description("Of how many pieces")
  int ranges;

  @Label("Switches")
  @Description("Leaves that were written anew, and have their places changed by it")
  int switches;

  @Label("Done")
  @Description("Whether it came to its end; else what it had taken waits for the next one")
  boolean done;

  static void prepare() {
    var _ = new CommitNotice().isEnabled();
  }

  void end(String place, DirtyPages.Ranges taken, int changed, boolean isDone) {
    end();
    if (shouldCommit()) {
      store = place;
      ranges = taken.count;
      for (int i = 0; i < taken.count; i++) {
        bytes += taken.bounds[2 * i + 1];
      }
      switches = changed;
      done = isDone;
      commit();
    }
  }
}
