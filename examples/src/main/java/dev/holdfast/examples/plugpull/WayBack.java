package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PmemDevice;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** Puts the device back that was pulled out, and waits until its leg holds everything again. */
final class WayBack {
  private static final long DEADLINE_NANOS = TimeUnit.SECONDS.toNanos(120);
  private static final long POLL_NANOS = 5_000_000L;

  private final Store store;
  private final Console console;
  private final List<String> problems;

  WayBack(Store store, Console console, List<String> problems) {
    this.store = store;
    this.console = console;
    this.problems = problems;
  }

  /**
   * Brings every leg back whose device was pulled out.
   *
   * @return whether all legs hold everything
   */
  boolean go() {
    for (PmemDevice device : store.devices()) {
      if (device.state() == DeviceState.DEAD && device instanceof EmulatedDevice emulated) {
        emulated.faults().reinsert();
        console.line("  put back: " + device.name());
      }
    }
    console.startClock();
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while (store.health().state() != StoreState.ONLINE) {
      StoreStats.Resilver copy = store.stats().resilver();
      if (copy != null && copy.running()) {
        console.progress(
            "copying to leg " + copy.leg() + " what it missed",
            copy.bytesDone(),
            copy.bytesTotal(),
            "bytes");
      }
      if (System.nanoTime() - deadline > 0) {
        problems.add("the way back: expected all legs online, was " + states());
        return false;
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
    StoreStats.Resilver copy = store.stats().resilver();
    if (copy == null) {
      problems.add("the way back: expected a copy of what was missed, was none");
      return false;
    }
    console.line(
        String.format(
            Locale.ROOT,
            "  leg %d holds everything again: %s of its %s copied%s in %.3f s (%s/s) and read back",
            copy.leg(),
            ByteSize.show(copy.bytesDone()),
            ByteSize.show(store.devices().get(copy.leg()).capacity()),
            copy.whole() ? ", as a whole," : "",
            copy.elapsed().toNanos() / 1e9,
            ByteSize.show(copy.bytesPerSecond())));
    return true;
  }

  /** Pulls out every leg but the one that came back: what it holds now, it holds alone. */
  void leaveItAlone() {
    StoreStats.Resilver copy = store.stats().resilver();
    for (StoreHealth.Leg leg : store.health().legs()) {
      PmemDevice device = store.devices().get(leg.index());
      if (copy != null
          && leg.index() != copy.leg()
          && leg.state() == LegState.ONLINE
          && device instanceof EmulatedDevice emulated) {
        emulated.faults().remove();
        console.line("  pulled out: " + device.name());
      }
    }
  }

  private String states() {
    return store.health().legs().stream()
        .map(leg -> "leg " + leg.index() + " " + leg.state())
        .toList()
        .toString();
  }
}
