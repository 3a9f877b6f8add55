package dev.holdfast.pmem;

import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One state that a power cut at one point of a {@link CrashLog} can leave on all devices together,
 * and in the small files beside them. {@link CrashPlace#show} makes files of it.
 *
 * <p><b>Threads:</b> any; it never changes, and does not need the log to stay.
 */
public final class CrashImage {
  private final CrashState state;
  private final int[] taken;
  private final long hash;

  CrashImage(CrashState state, int[] taken, long hash) {
    this.state = state;
    this.taken = taken;
    this.hash = hash;
  }

  /** {@return how many events were before the cut} */
  public int point() {
    return state.point();
  }

  /**
   * {@return a hash of all bytes of all devices and files, and of which are there: equal for equal
   * states, at whatever point they were reached; different ones collide as random words of 64 bits
   * do}
   */
  public long hash() {
    return hash;
  }

  /** {@return how many stores (in pieces of at most 8 bytes) that were under way left nothing} */
  public int lost() {
    int lost = 0;
    for (int i = 0; i < taken.length; i++) {
      lost += state.choices().get(i).count() - taken[i];
    }
    return lost;
  }

  /**
   * {@return how many of the stores that were under way (in pieces of at most 8 bytes) persisted}
   */
  public int persisted() {
    int persisted = 0;
    for (int n : taken) {
      persisted += n;
    }
    return persisted;
  }

  /**
   * The bytes of a device.
   *
   * @param device the file as it was recorded
   * @param offset the first byte
   * @param length how many bytes
   * @return null if it was not there
   */
  public byte @Nullable [] read(Path device, long offset, int length) {
    Path file = Tracking.canonical(device);
    for (CrashState.DeviceState found : state.devices()) {
      if (found.presence() != FilePresence.ABSENT && found.device().file.equals(file)) {
        byte[] bytes = new byte[length];
        long begin = DeviceLabel.SIZE + offset;
        Map<Integer, byte[]> patched = patches(found.device().index);
        for (int done = 0; done < length; ) {
          int page = Math.toIntExact((begin + done) / PagedImage.PAGE);
          int within = (int) ((begin + done) % PagedImage.PAGE);
          int n = Math.min(length - done, PagedImage.PAGE - within);
          byte[] patch = patched.get(page);
          System.arraycopy(
              patch == null ? found.medium().page(page) : patch, within, bytes, done, n);
          done += n;
        }
        return bytes;
      }
    }
    return null;
  }

  /**
   * {@return the content of a small file, or null if it was not there}
   *
   * @param file the file as it was recorded
   */
  public byte @Nullable [] readFile(Path file) {
    Path name = Tracking.canonical(file);
    for (CrashEvent.SideFiles inDirectory : sideFiles()) {
      if (state.directories().get(inDirectory.directory()).equals(name.getParent())) {
        return inDirectory.files().get(String.valueOf(name.getFileName()));
      }
    }
    return null;
  }

  List<CrashState.DeviceState> devices() {
    return state.devices();
  }

  /** What each directory holds. */
  List<CrashEvent.SideFiles> sideFiles() {
    List<CrashEvent.SideFiles> files = new ArrayList<>(state.files());
    for (int i = 0; i < taken.length; i++) {
      if (taken[i] > 0 && state.choices().get(i) instanceof CrashState.Files changed) {
        files.set(changed.next().directory(), changed.next());
      }
    }
    return files;
  }

  /** The pages of a device that differ from what is durable, with their bytes. */
  Map<Integer, byte[]> patches(int device) {
    Map<Integer, byte[]> patched = new HashMap<>();
    for (int i = 0; i < taken.length; i++) {
      if (taken[i] > 0
          && state.choices().get(i) instanceof CrashState.Line line
          && line.device() == device) {
        int page = line.pieces().page();
        byte[] bytes =
            patched.computeIfAbsent(
                page, p -> state.devices().get(device).medium().page(p).clone());
        for (int n = 0; n < taken[i]; n++) {
          line.pieces().apply(n, bytes);
        }
      }
    }
    return patched;
  }

  @Override
  public String toString() {
    return "point "
        + point()
        + ", "
        + persisted()
        + " pieces persisted, "
        + lost()
        + " lost, hash "
        + Long.toHexString(hash);
  }
}
