package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Directories in which one {@link CrashImage} after the other is laid out as files, to be opened
 * with {@link EmulatedDevice#open} in the mode that was recorded, {@link PersistenceMode#DAX}
 * included, by a store or otherwise.
 *
 * <p>What a visit does to the files, through windows or the methods of a device, is noticed and
 * undone when the next image is shown: that writes the pages that differ and no others. Whatever
 * the visit opened must be closed by then, and nobody else may write to the device files; every
 * {@value #VERIFY_EVERY}th time this is checked.
 *
 * <p>The directories that were recorded can be used themselves, once everything there is closed. A
 * store that has paths of files in its files needs that.
 *
 * <p><b>Threads:</b> one; several places in other directories can be used side by side.
 */
public final class CrashPlace implements AutoCloseable {
  private static final int VERIFY_EVERY = 1_000;

  private final List<Path> directories;
  private final Map<Path, Shown> files = new HashMap<>();
  private final ConcurrentHashMap<Path, TouchedPages> touched = new ConcurrentHashMap<>();
  private long shows;

  private CrashPlace(List<Path> directories) {
    this.directories = directories;
  }

  /**
   * Takes directories, one for each that was recorded and in their order.
   *
   * @param log what was recorded
   * @param directories where the files are made
   * @return them, with nothing shown yet
   * @throws IllegalArgumentException if one holds files and is not the one that was recorded
   */
  public static CrashPlace of(CrashLog log, Path... directories) {
    List<Path> places = Arrays.stream(directories).map(Tracking::canonical).toList();
    if (places.size() != log.directories().size()) {
      throw new IllegalArgumentException(
          "directories: expected " + log.directories().size() + ", was " + places.size());
    }
    for (int i = 0; i < places.size(); i++) {
      Path place = places.get(i);
      // All files there are going to be replaced.
      if (!place.equals(log.directories().get(i)) && !CrashRecorder.list(place).isEmpty()) {
        throw new IllegalArgumentException(place + ": expected an empty directory, has files");
      }
    }
    CrashPlace place = new CrashPlace(places);
    try {
      for (Path directory : places) {
        Tracking.begin(directory, place);
      }
    } catch (RuntimeException e) {
      place.close();
      throw e;
    }
    return place;
  }

  /**
   * Makes the files what the image says, undoing whatever was done to them.
   *
   * @param image the state to show
   */
  public void show(CrashImage image) {
    shows++;
    Set<Path> expected = new HashSet<>();
    try {
      for (CrashState.DeviceState device : image.devices()) {
        if (device.presence() != FilePresence.ABSENT) {
          show(device, image, expected);
        }
      }
      for (CrashEvent.SideFiles inDirectory : image.sideFiles()) {
        showFiles(directories.get(inDirectory.directory()), inDirectory.files(), expected);
      }
      for (Path directory : directories) {
        for (Path file : CrashRecorder.list(directory)) {
          if (!expected.contains(file)) {
            Files.delete(file);
          }
        }
      }
    } catch (IOException e) {
      throw new DeviceIoException(directories + ": an image cannot be shown: " + e, e);
    }
  }

  private void show(CrashState.DeviceState state, CrashImage image, Set<Path> expected)
      throws IOException {
    Path file = directories.get(state.device().directory).resolve(state.device().name());
    Path now = state.presence() == FilePresence.REMOVED ? EmulatedDevice.removedFile(file) : file;
    expected.add(now);
    Shown shown = files.get(file);
    if (shown == null || !shown.isAt(now)) {
      if (shown != null) {
        shown.close();
      }
      Files.deleteIfExists(now);
      DurableFile.create(now);
      shown = new Shown(now);
      files.put(file, shown);
    }
    shown.forget(touched(file).take());
    shown.write(
        now, state.medium(), image.patches(state.device().index), shows % VERIFY_EVERY == 0);
  }

  private static void showFiles(Path directory, Map<String, byte[]> content, Set<Path> expected)
      throws IOException {
    for (Map.Entry<String, byte[]> entry : content.entrySet()) {
      Path file = directory.resolve(entry.getKey());
      expected.add(file);
      if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        DurableFile.create(file);
      }
      if (!Arrays.equals(Files.readAllBytes(file), entry.getValue())) {
        Files.write(file, entry.getValue());
      }
    }
  }

  /** Where the writes to a device file are noted. */
  TouchedPages touched(Path file) {
    return touched.computeIfAbsent(file, _ -> new TouchedPages());
  }

  /** Ends it; the files stay as they are. */
  @Override
  public void close() {
    for (Path directory : directories) {
      Tracking.end(directory, this);
    }
    files.values().forEach(Shown::close);
    files.clear();
  }

  /** A device file of this place, under whichever name, and what is known of its bytes. */
  private static final class Shown {
    private static final byte[] UNKNOWN = new byte[0];

    private final int fd;
    private final @Nullable Object key;

    /** The very arrays that the pages were written from, or {@link #UNKNOWN}. */
    private byte[][] pages = new byte[0][];

    private Shown(Path file) throws IOException {
      this.fd = Posix.open(file);
      this.key = attributes(file).fileKey();
    }

    private static BasicFileAttributes attributes(Path file) throws IOException {
      return Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    }

    private boolean isAt(Path path) throws IOException {
      return Files.exists(path, LinkOption.NOFOLLOW_LINKS)
          && Objects.equals(attributes(path).fileKey(), key);
    }

    private void forget(BitSet touched) {
      touched.stream().filter(i -> i < pages.length).forEach(i -> pages[i] = UNKNOWN);
    }

    private void write(Path file, PagedImage medium, Map<Integer, byte[]> patches, boolean verify)
        throws IOException {
      if (verify) {
        verify(file);
      }
      int count = medium.pageCount();
      long size = Files.size(file);
      // A visit may have grown it to just this size.
      if (size != medium.size() || pages.length != count) {
        Posix.truncate(fd, medium.size(), file);
        // Pages behind the old end or the new one are not what they were.
        int kept = (int) Math.min(size, medium.size()) / PagedImage.PAGE;
        kept = Math.min(kept, pages.length);
        pages = Arrays.copyOf(pages, count);
        Arrays.fill(pages, kept, count, UNKNOWN);
      }
      for (int i = 0; i < count; i++) {
        byte[] patch = patches.get(i);
        byte[] wanted = patch == null ? medium.page(i) : patch;
        if (!isSame(pages[i], wanted)) {
          Posix.write(fd, (long) i * PagedImage.PAGE, wanted, 0, PagedImage.PAGE, file);
          pages[i] = wanted;
        }
      }
    }

    /** Whether it is the same array; what is equal and not the same is written once more. */
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(byte[] a, byte[] b) {
      return a == b;
    }

    private void verify(Path file) throws IOException {
      byte[] bytes = new byte[PagedImage.PAGE];
      // An image may have had it as a file without content; what it lacks is written anew.
      long there = Math.min(pages.length, Files.size(file) / PagedImage.PAGE);
      for (int i = 0; i < there; i++) {
        byte[] known = pages[i];
        if (!isSame(known, UNKNOWN)) {
          Posix.read(fd, (long) i * PagedImage.PAGE, bytes, 0, bytes.length, file);
          if (!Arrays.equals(bytes, known)) {
            throw new IllegalStateException(
                file
                    + ": page "
                    + i
                    + ": expected it to be written to by devices alone, was changed otherwise");
          }
        }
      }
    }

    private void close() {
      Posix.close(fd);
    }
  }
}
