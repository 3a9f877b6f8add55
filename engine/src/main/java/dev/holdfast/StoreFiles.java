package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.StoreLockedException;
import dev.holdfast.pmem.DurableFile;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * The directory of a store: {@code lock} (held while open, names the process), {@code witness},
 * {@code scrub} (how far the scrub in the background is), {@code checkpoint} (whose checkpoint it
 * is, see {@link CheckpointMark}), {@code log-witness} (of a LOG volume), {@code log-making} (there
 * while one is being made, with its files), {@code creating} (there while the store is being made;
 * what it lists is removed when that did not end), and by default the device files {@code
 * leg-N.pmem}.
 */
final class StoreFiles implements AutoCloseable {
  private final Path directory;
  private final RandomAccessFile lockFile;
  private final FileLock lock;
  private final AtomicBoolean closed = new AtomicBoolean();

  private StoreFiles(Path directory, RandomAccessFile lockFile, FileLock lock) {
    this.directory = directory;
    this.lockFile = lockFile;
    this.lock = lock;
  }

  /**
   * Takes the directory, making it if it is not there.
   *
   * @throws StoreLockedException if another opener holds it
   */
  static StoreFiles take(Path directory) {
    Path lockPath = directory.resolve("lock");
    RandomAccessFile file = null;
    try {
      if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS) && !Files.isDirectory(directory)) {
        throw new InvalidImageException(
            directory + ": expected the directory of a store, was something else");
      }
      if (!Files.exists(directory)) {
        Path parent = directory.toAbsolutePath().getParent();
        if (parent != null) {
          Files.createDirectories(parent);
        }
        Files.createDirectory(
            directory,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      }
      if (Files.exists(lockPath, LinkOption.NOFOLLOW_LINKS)
          && !Files.isRegularFile(lockPath, LinkOption.NOFOLLOW_LINKS)) {
        throw new InvalidImageException(lockPath + ": expected a regular file, was something else");
      }
      DurableFile.create(lockPath);
      file = new RandomAccessFile(lockPath.toFile(), "rw");
      FileLock lock = tryLock(file);
      if (lock == null) {
        long pid = readPid(file);
        file.close();
        throw new StoreLockedException(
            directory
                + ": expected no other opener, was opened by process "
                + (pid < 0 ? "(unknown)" : Long.toString(pid)),
            pid);
      }
      file.setLength(0);
      file.write(Long.toString(ProcessHandle.current().pid()).getBytes(StandardCharsets.US_ASCII));
      return new StoreFiles(directory, file, lock);
    } catch (IOException e) {
      closeQuietly(file, e);
      throw new DeviceIoException(directory + ": cannot be opened: " + e, e);
    }
  }

  private static @Nullable FileLock tryLock(RandomAccessFile file) throws IOException {
    try {
      return file.getChannel().tryLock();
    } catch (OverlappingFileLockException e) {
      return null; // this very process
    }
  }

  private static long readPid(RandomAccessFile file) {
    try {
      byte[] bytes = new byte[(int) Math.min(20, file.length())];
      file.readFully(bytes);
      return Long.parseLong(new String(bytes, StandardCharsets.US_ASCII).trim());
    } catch (IOException | NumberFormatException e) {
      return -1;
    }
  }

  private static void closeQuietly(@Nullable RandomAccessFile file, Exception cause) {
    try {
      if (file != null) {
        file.close();
      }
    } catch (IOException e) {
      cause.addSuppressed(e);
    }
  }

  Path directory() {
    return directory;
  }

  Path witness() {
    return directory.resolve("witness");
  }

  Path logWitness() {
    return directory.resolve("log-witness");
  }

  Path logMaking() {
    return directory.resolve("log-making");
  }

  Path scrub() {
    return directory.resolve("scrub");
  }

  /** Where the legs lie that nobody put elsewhere. */
  List<Path> defaultLegs(int count) {
    List<Path> legs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      legs.add(directory.resolve("leg-" + i + ".pmem"));
    }
    return legs;
  }

  /** Removes what an open that was refused left in a directory that it made: no device. */
  static void removeNotes(Path directory) {
    for (String name : List.of("lock", "witness", "legs", "scrub", "creating")) {
      try {
        Files.deleteIfExists(directory.resolve(name));
      } catch (IOException e) {
        return; // It is only in the way.
      }
    }
    try {
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      // Its devices are there.
    }
  }

  /** Notes that the store is being made of these files, none of which is there. */
  void beginCreation(List<Path> legs) {
    StringBuilder text = new StringBuilder();
    for (Path leg : legs) {
      text.append(leg.toAbsolutePath()).append('\n');
    }
    try {
      DurableFile.write(
          directory.resolve("creating"), text.toString().getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new DeviceIoException(directory + ": the store cannot be made: " + e, e);
    }
  }

  /** Notes that the store is made. */
  void endCreation() {
    try {
      Files.deleteIfExists(directory.resolve("creating"));
      DurableFile.syncDirectory(directory.resolve("creating"));
    } catch (IOException e) {
      throw new DeviceIoException(directory + ": the store cannot be made: " + e, e);
    }
  }

  /** Whether a creation did not come to its end. */
  boolean isUnfinished() {
    return Files.exists(directory.resolve("creating"));
  }

  /** Removes what a creation left that never ended: nothing was acknowledged by it. */
  void undoCreation() {
    Path note = directory.resolve("creating");
    try {
      if (Files.exists(note)) {
        if (!Files.isRegularFile(note)) {
          throw new InvalidImageException(note + ": expected a regular file, was something else");
        }
        for (String leg : Files.readAllLines(note, StandardCharsets.UTF_8)) {
          Files.deleteIfExists(Path.of(leg));
          Files.deleteIfExists(Path.of(leg + ".badblocks"));
        }
        Files.deleteIfExists(witness());
        Files.deleteIfExists(scrub());
        endCreation();
      }
    } catch (IOException e) {
      throw new DeviceIoException(directory + ": an unfinished store cannot be removed: " + e, e);
    }
  }

  /** Harmless when it was closed before. */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    try {
      lock.release();
      lockFile.close();
    } catch (IOException e) {
      throw new DeviceIoException(directory + ": lock: " + e, e);
    }
  }
}
