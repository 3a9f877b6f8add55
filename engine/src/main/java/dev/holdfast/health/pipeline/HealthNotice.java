package dev.holdfast.health.pipeline;

import dev.holdfast.health.HealthEvent;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/** A {@link HealthEvent} in a flight recording. */
@Name("dev.holdfast.HealthNotice")
@Label("Health Notice")
@Description("Something that happened to a store")
@Category("Holdfast")
@StackTrace(false)
final class HealthNotice extends Event {
  @Label("Sequence")
  @Description("Counts the health events of a store")
  long sequence;

  @Label("Kind")
  String kind = "";

  @Label("Leg")
  @Description("The index of the leg, or -1 for the whole store")
  int leg;

  @Label("Offset")
  @DataAmount
  long offset;

  @Label("Length")
  @DataAmount
  long length;

  @Label("Detail")
  String detail = "";

  @Label("Age")
  @Description("How long before this notice it happened")
  @Timespan(Timespan.NANOSECONDS)
  long age;

  /** Registers the event with the JVM, so that the first one does not have to. */
  static void prepare() {
    var _ = new HealthNotice().isEnabled();
  }

  static void emit(HealthEvent event) {
    HealthNotice notice = new HealthNotice();
    if (notice.isEnabled()) {
      notice.sequence = event.sequence();
      notice.kind = event.kind().name();
      notice.leg = event.leg();
      notice.offset = event.offset();
      notice.length = event.length();
      notice.detail = event.detail();
      notice.age = System.nanoTime() - event.nanoTime();
      notice.commit();
    }
  }
}
