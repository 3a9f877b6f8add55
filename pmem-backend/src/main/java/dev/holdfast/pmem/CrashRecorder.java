package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Records, in one order over all of them, what is done to the emulated devices of some directories
 * and to the small files beside them, so that the states a power cut could leave behind can be
 * enumerated: see {@link CrashLog}.
 *
 * <p>Every device that is created or opened in the directories while this records is
 * <i>tracked</i>: all stores through {@link Gateway} are written down, and every completed {@link
 * PmemDevice#flush} and {@link PmemDevice#fence}. A tracked device may be opened as {@link
 * PersistenceMode#DAX}, which an emulated device elsewhere refuses to call itself. A device that
 * was open before is not tracked; one that lies there unopened belongs to the images as it is.
 *
 * <p>Small files (at most 64 KiB) are written down when {@link DurableFile} made a change to them
 * durable. What else writes to the directories is seen at the next such moment.
 *
 * <p>A recording keeps everything in memory and is meant for tests: devices of at most {@link
 * #LARGEST_DEVICE} bytes, {@link #LARGEST_LOG} bytes stored.
 *
 * <p><b>Threads:</b> any; tracked stores wait for each other. <b>Lifetime:</b> {@link #close} ends
 * the recording and keeps the log; it does not close the devices.
 */
public final class CrashRecorder implements AutoCloseable {
  /** How large a tracked device may be, in bytes. */
  public static final long LARGEST_DEVICE = 64L << 20;

  /** How many bytes may be stored in one recording. */
  public static final long LARGEST_LOG = 256L << 20;

  private static final int LARGEST_SIDE_FILE = 64 << 10;

  private final List<Path> directories;
  private final ReentrantLock lock = new ReentrantLock();
  private final List<CrashEvent> events = new ArrayList<>();
  private final List<RecordedDevice> devices = new ArrayList<>();
  private final List<CrashEvent.SideFiles> filesAtFirst = new ArrayList<>();

  /** What each directory held when it was last looked at. */
  private final List<Map<String, byte[]>> files = new ArrayList<>();

  /** How many changes to files of a directory are under way. */
  private final int[] changing;

  /** Where the change under way began, if one is. */
  private final int[] changeBegan;

  private final Set<String> suppressedFlushes = new HashSet<>();
  private final Set<String> suppressedFences = new HashSet<>();
  private final Map<String, Integer> flushSites = new TreeMap<>();
  private final Map<String, Integer> fenceSites = new TreeMap<>();
  private long logged;
  private boolean separate;
  private boolean closed;

  private CrashRecorder(List<Path> directories) {
    this.directories = directories;
    this.changing = new int[directories.size()];
    this.changeBegan = new int[directories.size()];
  }

  /**
   * Begins to record what happens in these directories, which must be there.
   *
   * @param directories what to record
   * @return the recorder; to be closed
   * @throws IllegalStateException if another recorder has one of them
   */
  public static CrashRecorder start(Path... directories) {
    CrashRecorder recorder =
        new CrashRecorder(Arrays.stream(directories).map(Tracking::canonical).toList());
    recorder.lock();
    try {
      recorder.meetWhatIsThere();
      for (Path directory : recorder.directories) {
        Tracking.begin(directory, recorder);
      }
    } catch (RuntimeException e) {
      recorder.close();
      throw e;
    } finally {
      recorder.unlock();
    }
    return recorder;
  }

  private void meetWhatIsThere() {
    for (int d = 0; d < directories.size(); d++) {
      for (Path file : list(directories.get(d))) {
        if (isDevice(file)) {
          boolean removed = file.toString().endsWith(EmulatedDevice.REMOVED);
          add(
              d,
              removed ? file.resolveSibling(withoutSuffix(file)) : file,
              PagedImage.of(readDevice(file)),
              removed ? FilePresence.REMOVED : FilePresence.PRESENT);
        }
      }
      Map<String, byte[]> now = sideFiles(d);
      files.add(now);
      filesAtFirst.add(new CrashEvent.SideFiles(d, now, 0, CrashEvent.SideFiles.hash(d, now)));
    }
  }

  private static String withoutSuffix(Path file) {
    String name = String.valueOf(file.getFileName());
    return name.substring(0, name.length() - EmulatedDevice.REMOVED.length());
  }

  private static byte[] readDevice(Path file) {
    try {
      requireSmall(file.toString(), Files.size(file) - DeviceLabel.SIZE);
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be read: " + e, e);
    }
  }

  /** Fails for devices that a recording has no memory for. */
  static void requireSmall(String device, long capacity) {
    if (capacity > LARGEST_DEVICE) {
      throw new IllegalArgumentException(
          device
              + ": a tracked device: expected at most "
              + LARGEST_DEVICE
              + " bytes, was "
              + capacity);
    }
  }

  /**
   * From now on flushes by this name do not count: they return and nothing is written back. A test
   * that does not fail then has not shown that the flush is needed.
   *
   * @param site the name
   */
  public void suppressFlush(String site) {
    lock();
    try {
      suppressedFlushes.add(site);
    } finally {
      unlock();
    }
  }

  /**
   * From now on a fence counts only for flushes of its own name, as if whatever comes next was done
   * by another thread: what was flushed and is told to others has to be fenced before.
   */
  public void separateFences() {
    lock();
    try {
      separate = true;
    } finally {
      unlock();
    }
  }

  /**
   * As {@link #suppressFlush}, for fences.
   *
   * @param site the name
   */
  public void suppressFence(String site) {
    lock();
    try {
      suppressedFences.add(site);
    } finally {
      unlock();
    }
  }

  /**
   * {@return how many events there were up to now: what has happened before is at most so old, what
   * happens later is newer} It is also the {@linkplain CrashLog#points point} of a power cut at
   * this moment.
   */
  public int position() {
    lock();
    try {
      return events.size();
    } finally {
      unlock();
    }
  }

  /** {@return everything up to now} */
  public CrashLog log() {
    lock();
    try {
      return new CrashLog(
          directories,
          List.copyOf(devices),
          List.copyOf(filesAtFirst),
          List.copyOf(events),
          Map.copyOf(flushSites),
          Map.copyOf(fenceSites));
    } finally {
      unlock();
    }
  }

  @Override
  public void close() {
    for (Path directory : directories) {
      Tracking.end(directory, this);
    }
    lock();
    try {
      closed = true;
    } finally {
      unlock();
    }
  }

  void lock() {
    lock.lock();
  }

  void unlock() {
    lock.unlock();
  }

  void append(CrashEvent event, int bytes) {
    lock();
    try {
      if (closed) {
        return;
      }
      if (logged + bytes > LARGEST_LOG) {
        throw new IllegalStateException(
            "crash recording: expected at most " + LARGEST_LOG + " bytes stored, were more");
      }
      logged += bytes;
      events.add(event);
    } finally {
      unlock();
    }
  }

  void flushed(int device, String site, long offset, long length, int began) {
    lock();
    try {
      flushSites.merge(site, 1, Integer::sum);
      if (!suppressedFlushes.contains(site)) {
        append(new CrashEvent.Flush(device, threadOf(site), site, offset, length, began), 0);
      }
    } finally {
      unlock();
    }
  }

  void fenced(int device, String site) {
    lock();
    try {
      fenceSites.merge(site, 1, Integer::sum);
      if (!suppressedFences.contains(site)) {
        append(new CrashEvent.Fence(device, threadOf(site), site), 0);
      }
    } finally {
      unlock();
    }
  }

  /** Who a flush or fence is noted for. */
  private long threadOf(String site) {
    long thread = Thread.currentThread().threadId();
    return separate ? thread + ((long) site.hashCode() << Integer.SIZE) : thread;
  }

  void renamed(int device, boolean removed) {
    lock();
    try {
      presence(devices.get(device), removed ? FilePresence.REMOVED : FilePresence.PRESENT, null);
    } finally {
      unlock();
    }
  }

  private void presence(
      RecordedDevice device, FilePresence presence, CrashEvent.@Nullable SideFiles with) {
    device.now = presence;
    append(new CrashEvent.Presence(device.index, presence, with), 0);
  }

  /** Takes in a device that is being opened; its index. */
  int opened(EmulatedDevice device, Path file, boolean created) {
    requireSmall(device.name(), device.capacity());
    lock();
    try {
      RecordedDevice known = find(file);
      if (known != null && created) {
        presence(known, FilePresence.ABSENT, null);
        known = null;
      }
      if (known == null) {
        int directory = directories.indexOf(file.getParent());
        PagedImage base = PagedImage.of(readDevice(file));
        known = add(directory, file, base, created ? FilePresence.ABSENT : FilePresence.PRESENT);
        if (created) {
          // Its name was a small file's until now.
          presence(known, FilePresence.PRESENT, changeOf(directory));
        }
      } else if (known.now != FilePresence.PRESENT) {
        presence(known, FilePresence.PRESENT, null);
      }
      if (known.mode != null && known.mode != device.persistenceMode()) {
        throw new IllegalStateException(
            file
                + ": tracked device: expected to be opened as "
                + known.mode
                + " again, was "
                + device.persistenceMode());
      }
      known.mode = device.persistenceMode();
      return known.index;
    } finally {
      unlock();
    }
  }

  private @Nullable RecordedDevice find(Path file) {
    for (RecordedDevice device : devices) {
      if (device.file.equals(file) && device.now != FilePresence.ABSENT) {
        return device;
      }
    }
    return null;
  }

  private RecordedDevice add(int directory, Path file, PagedImage base, FilePresence atFirst) {
    RecordedDevice device = new RecordedDevice(devices.size(), directory, file, base, atFirst);
    devices.add(device);
    return device;
  }

  void sideFilesBegin(Path file) {
    lock();
    try {
      int directory = directories.indexOf(file.getParent());
      if (changing[directory]++ == 0) {
        changeBegan[directory] = events.size();
      }
    } finally {
      unlock();
    }
  }

  void sideFilesEnd(Path file) {
    lock();
    try {
      changing[directories.indexOf(file.getParent())]--;
    } finally {
      unlock();
    }
  }

  void sideFilesChanged(Path file) {
    lock();
    try {
      int directory = directories.indexOf(file.getParent());
      for (RecordedDevice device : devices) {
        if (device.directory == directory
            && device.now != FilePresence.ABSENT
            && !Files.exists(device.file)
            && !Files.exists(EmulatedDevice.removedFile(device.file))) {
          presence(device, FilePresence.ABSENT, null);
        }
      }
      CrashEvent.SideFiles change = changeOf(directory);
      if (change != null) {
        append(change, 0);
      }
    } finally {
      unlock();
    }
  }

  /** What is different in a directory since it was last looked at; null if nothing is. */
  private CrashEvent.@Nullable SideFiles changeOf(int directory) {
    Map<String, byte[]> now = sideFiles(directory);
    if (same(files.get(directory), now)) {
      return null;
    }
    files.set(directory, now);
    int began = changing[directory] > 0 ? changeBegan[directory] : events.size();
    changeBegan[directory] = events.size() + 1;
    return new CrashEvent.SideFiles(
        directory, now, began, CrashEvent.SideFiles.hash(directory, now));
  }

  private static boolean same(Map<String, byte[]> a, Map<String, byte[]> b) {
    if (!a.keySet().equals(b.keySet())) {
      return false;
    }
    return a.entrySet().stream()
        .allMatch(file -> Arrays.equals(file.getValue(), b.get(file.getKey())));
  }

  private Map<String, byte[]> sideFiles(int directory) {
    Map<String, byte[]> found = new HashMap<>();
    for (Path file : list(directories.get(directory))) {
      try {
        if (find(file) == null && Files.size(file) <= LARGEST_SIDE_FILE) {
          found.put(String.valueOf(file.getFileName()), Files.readAllBytes(file));
        }
      } catch (IOException e) {
        if (Files.exists(file)) {
          throw new DeviceIoException(file + ": cannot be read: " + e, e);
        } // else renamed or deleted meanwhile: as good as gone before
      }
    }
    return found;
  }

  private static boolean isDevice(Path file) {
    try {
      return Files.size(file) > LARGEST_SIDE_FILE && DeviceLabel.isAt(file);
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be read: " + e, e);
    }
  }

  /** The regular files of a directory. */
  static List<Path> list(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(f -> Files.isRegularFile(f, LinkOption.NOFOLLOW_LINKS)).sorted().toList();
    } catch (IOException e) {
      throw new DeviceIoException(directory + ": cannot be listed: " + e, e);
    }
  }
}
