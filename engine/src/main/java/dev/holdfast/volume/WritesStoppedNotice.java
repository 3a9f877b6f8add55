package dev.holdfast.volume;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Writes were stopped, in a flight recording. */
@Name("dev.holdfast.WritesStopped")
@Label("Writes Stopped")
@Description("No write is acknowledged until the store resumes or is opened again; reads go on")
@Category("Holdfast")
@StackTrace(false)
final class WritesStoppedNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("Cause")
  String cause = "";

  static void prepare() {
    var _ = new WritesStoppedNotice().isEnabled();
  }

  static void emit(String store, String cause) {
    WritesStoppedNotice notice = new WritesStoppedNotice();
    if (notice.isEnabled()) {
      notice.store = store;
      notice.cause = cause;
      notice.commit();
    }
  }
}
