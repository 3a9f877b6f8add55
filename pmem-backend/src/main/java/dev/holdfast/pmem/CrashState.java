package dev.holdfast.pmem;

import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.nio.file.Path;
import java.util.List;

/**
 * What a power cut at one point could leave: what is on the media for certain, and choices that are
 * independent of each other.
 *
 * @param directories what was recorded
 * @param point how many events were before the cut
 * @param devices what is durable on each
 * @param files what is durable in each directory
 * @param choices what is not certain
 * @param hash the hash if nothing of that is there
 */
record CrashState(
    List<Path> directories,
    int point,
    List<DeviceState> devices,
    List<CrashEvent.SideFiles> files,
    List<Choice> choices,
    long hash) {
  /** A device, and its bytes, which nobody changes any more. */
  record DeviceState(RecordedDevice device, FilePresence presence, PagedImage medium) {}

  /** Something of which the first 0 to {@code count} parts are there. */
  sealed interface Choice {
    int count();

    long hashChange(int taken);
  }

  /** Stores to a line. */
  record Line(int device, PendingLine.View pieces) implements Choice {
    @Override
    public int count() {
      return pieces.count();
    }

    @Override
    public long hashChange(int taken) {
      return pieces.hashChange(taken);
    }
  }

  /** A change of files that is under way. */
  record Files(CrashEvent.SideFiles next, long change) implements Choice {
    @Override
    public int count() {
      return 1;
    }

    @Override
    public long hashChange(int taken) {
      return taken == 0 ? 0 : change;
    }
  }

  /** In how many ways the choices can be made; no more than {@link Long#MAX_VALUE}. */
  long ways() {
    long ways = 1;
    for (Choice choice : choices) {
      long factor = choice.count() + 1L;
      ways = ways > Long.MAX_VALUE / factor ? Long.MAX_VALUE : ways * factor;
    }
    return ways;
  }

  CrashImage image(int[] taken) {
    long sum = hash;
    for (int i = 0; i < taken.length; i++) {
      sum += choices.get(i).hashChange(taken[i]);
    }
    return new CrashImage(this, taken, sum);
  }
}
