package dev.holdfast.pmem;

import java.nio.file.Path;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * A directory whose emulated devices and small files are watched, by a recorder, a place where
 * crash images are shown, or both. <b>Threads:</b> any.
 */
final class Tracking {
  private static final ConcurrentHashMap<Path, Tracking> DIRECTORIES = new ConcurrentHashMap<>();

  private final @Nullable CrashRecorder recorder;
  private final @Nullable CrashPlace place;

  private Tracking(@Nullable CrashRecorder recorder, @Nullable CrashPlace place) {
    this.recorder = recorder;
    this.place = place;
  }

  /** The one name that a directory or file has here. */
  static Path canonical(Path path) {
    return path.toAbsolutePath().normalize();
  }

  private static @Nullable Tracking of(Path file) {
    if (DIRECTORIES.isEmpty()) {
      return null;
    }
    Path directory = canonical(file).getParent();
    return directory == null ? null : DIRECTORIES.get(directory);
  }

  /** Whether a device in this file can claim to be persistent memory, because it is emulated. */
  static boolean emulatesPowerLoss(Path file) {
    return of(file) != null;
  }

  /** Who watches a device that is being opened, or null as nearly always. */
  static @Nullable DeviceTracker opened(EmulatedDevice device, boolean created) {
    Tracking tracking = of(device.file());
    if (tracking == null) {
      return null;
    }
    CrashRecorder recorder = tracking.recorder;
    CrashPlace place = tracking.place;
    Path file = canonical(device.file());
    return new DeviceTracker(
        device,
        recorder,
        recorder == null ? -1 : recorder.opened(device, file, created),
        place == null ? null : place.touched(file));
  }

  /**
   * A small file is about to change; {@link #sideFilesChanged} and {@link #sideFilesEnd} follow.
   */
  static void sideFilesBegin(Path file) {
    Tracking tracking = of(file);
    if (tracking != null && tracking.recorder != null) {
      tracking.recorder.sideFilesBegin(canonical(file));
    }
  }

  /** What the directory holds is on the medium, or can be at any moment. */
  static void sideFilesChanged(Path file) {
    Tracking tracking = of(file);
    if (tracking != null && tracking.recorder != null) {
      tracking.recorder.sideFilesChanged(canonical(file));
    }
  }

  static void sideFilesEnd(Path file) {
    Tracking tracking = of(file);
    if (tracking != null && tracking.recorder != null) {
      tracking.recorder.sideFilesEnd(canonical(file));
    }
  }

  static void begin(Path directory, CrashRecorder recorder) {
    DIRECTORIES.compute(
        directory,
        (_, now) -> {
          if (now != null && now.recorder != null) {
            throw new IllegalStateException(directory + ": expected no recorder, has one");
          }
          return new Tracking(recorder, now == null ? null : now.place);
        });
  }

  static void begin(Path directory, CrashPlace place) {
    DIRECTORIES.compute(
        directory,
        (_, now) -> {
          if (now != null && now.place != null) {
            throw new IllegalStateException(directory + ": expected no crash place, is one");
          }
          return new Tracking(now == null ? null : now.recorder, place);
        });
  }

  static void end(Path directory, CrashRecorder recorder) {
    DIRECTORIES.computeIfPresent(
        directory,
        (_, now) -> {
          if (now.recorder != recorder) {
            return now;
          }
          return now.place == null ? null : new Tracking(null, now.place);
        });
  }

  static void end(Path directory, CrashPlace place) {
    DIRECTORIES.computeIfPresent(
        directory,
        (_, now) -> {
          if (now.place != place) {
            return now;
          }
          return now.recorder == null ? null : new Tracking(now.recorder, null);
        });
  }
}
