package dev.holdfast.pmem;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What a {@link CrashRecorder} writes down. Offsets are those of the device. */
@SuppressWarnings("ArrayRecordComponent") // never compared
sealed interface CrashEvent {
  /** A store; {@code device} is the index in the recording, here and below. */
  record Store(int device, long offset, byte[] bytes) implements CrashEvent {
    @Override
    public String toString() {
      return "store of " + bytes.length + " at " + offset + " of device " + device;
    }
  }

  /** A write to the medium itself, behind windows and cache: clearing poison, an injected fault. */
  record MediumWrite(int device, long offset, byte[] bytes) implements CrashEvent {
    @Override
    public String toString() {
      return "medium write of " + bytes.length + " at " + offset + " of device " + device;
    }
  }

  /** {@code began} is the number of events there were when the flush began: it covers those. */
  record Flush(int device, long thread, String site, long offset, long length, int began)
      implements CrashEvent {
    @Override
    public String toString() {
      return "flush \"" + site + "\" of [" + offset + ", +" + length + ") of device " + device;
    }
  }

  record Fence(int device, long thread, String site) implements CrashEvent {
    @Override
    public String toString() {
      return "fence \"" + site + "\" of device " + device;
    }
  }

  record Grown(int device, long capacity) implements CrashEvent {}

  /** The file of a device came, went, or changed its name. */
  record Presence(int device, FilePresence presence, @Nullable SideFiles files)
      implements CrashEvent {}

  /**
   * What the small files of a directory hold from here on.
   *
   * @param began the number of events there were when the change began: from there on, a power cut
   *     may find it done
   */
  record SideFiles(int directory, Map<String, byte[]> files, int began, long hash)
      implements CrashEvent {
    @Override
    public String toString() {
      return "files of directory " + directory + ": " + files.keySet();
    }

    static long hash(int directory, Map<String, byte[]> files) {
      long sum = 0;
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        long seed = StateHash.mix(StateHash.of(file.getKey()) + directory);
        sum += StateHash.mix(seed ^ StateHash.of(file.getValue()));
      }
      return sum;
    }
  }

  /** Under which name the file of a device lies. */
  enum FilePresence {
    ABSENT,
    PRESENT,
    REMOVED
  }
}
