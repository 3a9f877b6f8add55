package dev.holdfast.pmem;

import org.jspecify.annotations.Nullable;

/**
 * What a tracked device tells of what is done to it: to a recorder, to a place that has to undo it,
 * or to both. <b>Threads:</b> any; between {@link #begin} and {@link #end} one at a time over all
 * devices of a recorder, so that the order of the log is the order of memory.
 */
final class DeviceTracker {
  private final EmulatedDevice device;
  private final @Nullable CrashRecorder recorder;
  private final int index;
  private final @Nullable TouchedPages touched;

  DeviceTracker(
      EmulatedDevice device,
      @Nullable CrashRecorder recorder,
      int index,
      @Nullable TouchedPages touched) {
    this.device = device;
    this.recorder = recorder;
    this.index = index;
    this.touched = touched;
  }

  /** Before bytes change, by a store or otherwise. */
  void begin(long offset, long length) {
    if (touched != null) {
      touched.touch(DeviceLabel.SIZE + offset, length);
    }
    if (recorder != null) {
      recorder.lock();
    }
  }

  /** After the store and its barrier, whether it faulted or not. */
  void stored(Window window, long offset, byte[] bytes) {
    // A store to a dead window went nowhere. One that met poison may have landed in part: it
    // counts.
    if (recorder != null
        && window.generation() == device.generation()
        && offset + bytes.length <= device.capacity()) {
      recorder.append(new CrashEvent.Store(index, offset, bytes), bytes.length);
    }
  }

  /** Bytes on the medium were changed behind the windows. */
  void wroteMedium(long offset, byte[] bytes) {
    if (recorder != null) {
      recorder.append(new CrashEvent.MediumWrite(index, offset, bytes.clone()), bytes.length);
    }
  }

  void end() {
    if (recorder != null) {
      recorder.unlock();
    }
  }

  /** What {@link #flushed} has to be told. */
  int beginFlush() {
    return recorder == null ? 0 : recorder.position();
  }

  void flushed(String site, long offset, long length, int began) {
    if (recorder != null) {
      recorder.flushed(index, site, offset, length, began);
    }
  }

  void fenced(String site) {
    if (recorder != null) {
      recorder.fenced(index, site);
    }
  }

  void grown(long capacity) {
    if (recorder != null) {
      recorder.append(new CrashEvent.Grown(index, capacity), 0);
    }
  }

  /** As {@link CrashRecorder#requireSmall}, if anything is recorded. */
  void requireSmall(long capacity) {
    if (recorder != null) {
      CrashRecorder.requireSmall(device.name(), capacity);
    }
  }

  /** The file of the device got its name, or lost it. */
  void renamed(boolean removed) {
    if (recorder != null) {
      recorder.renamed(index, removed);
    }
  }
}
