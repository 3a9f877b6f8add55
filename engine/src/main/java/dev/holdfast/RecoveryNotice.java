package dev.holdfast;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A store was opened, in a flight recording: what was found, and how long it took. */
@Name("dev.holdfast.Recovery")
@Label("Recovery")
@Description("A store was opened: from the look for its files until it takes operations")
@Category("Holdfast")
@StackTrace(false)
final class RecoveryNotice extends Event {
  @Label("Store")
  @Description("Its directory")
  String store = "";

  @Label("In Order")
  @Description("Whether it had been closed in order, or is new; else its leaves are reconciled")
  boolean inOrder;

  @Label("State")
  @Description("ONLINE, DEGRADED, READ_ONLY or FAILED")
  String state = "";

  @Label("Legs")
  @Description("How many it has")
  int legs;

  @Label("Legs to Copy to")
  @Description("How many of them are there and lack something")
  int staleLegs;

  @Label("Lost")
  @Description("Ranges that no leg holds, of which it was known before")
  int lost;

  static RecoveryNotice begun(String store) {
    RecoveryNotice notice = new RecoveryNotice();
    notice.store = store;
    notice.begin();
    return notice;
  }

  void end(Store opened, boolean wasInOrder, int stale) {
    end();
    if (shouldCommit()) {
      StoreHealth health = opened.health();
      inOrder = wasInOrder;
      state = health.state().name();
      legs = health.legs().size();
      staleLegs = stale;
      lost = health.lost().size();
      commit();
    }
  }
}
