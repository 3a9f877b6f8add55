package dev.holdfast.pmem;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** Small files that are on the medium when a call returns, by I/O that no interrupt can close. */
public final class DurableFile {
  private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  private DurableFile() {}

  /**
   * Creates the file, readable and writable by its owner alone, if it is not there.
   *
   * @param file the file
   * @throws IOException if the medium refused
   */
  public static void create(Path file) throws IOException {
    try {
      createNew(file);
    } catch (FileAlreadyExistsException e) {
      // As it was asked for.
    }
  }

  /** Creates the file, readable and writable by its owner alone, or throws if it is there. */
  static void createNew(Path file) throws IOException {
    Files.createFile(file, OWNER_ONLY);
    syncDirectory(file);
  }

  /**
   * Writes the whole content of a file and syncs it.
   *
   * @param file the file
   * @param content all that it holds then
   * @throws IOException if the medium refused
   */
  public static void write(Path file, byte[] content) throws IOException {
    Tracking.sideFilesBegin(file);
    try {
      create(file);
      // RandomAccessFile, not FileChannel: an interrupt closes a channel under its user.
      try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
        out.setLength(0);
        Tracking.sideFilesChanged(file);
        out.write(content);
        out.getFD().sync();
      }
      Tracking.sideFilesChanged(file);
    } finally {
      Tracking.sideFilesEnd(file);
    }
  }

  /**
   * Replaces the whole content of a file at once: a crash leaves the old or the new one, and the
   * new one once this returned. In between it lies beside it, in {@code NAME.new}.
   *
   * @param file the file
   * @param content all that it holds then
   * @throws IOException if the medium refused
   */
  public static void replace(Path file, byte[] content) throws IOException {
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    Tracking.sideFilesBegin(file);
    try {
      write(fresh, content);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
      syncDirectory(file);
    } finally {
      Tracking.sideFilesEnd(file);
    }
  }

  /**
   * Puts a directory in the place of another one, at once where that can be done: a crash leaves
   * both as they were or both changed. On a file system that cannot exchange names the second one
   * is moved aside first, see {@link #aside}: a crash may leave it there, and nothing in its place.
   * It is durable behind {@link #syncDirectory}.
   *
   * @param one a directory
   * @param other another one, beside it
   * @return where the second one is now
   * @throws IOException if the file system refused; both are where they were then
   */
  public static Path exchange(Path one, Path other) throws IOException {
    return Posix.exchange(one, other) ? one : exchangeInSteps(one, other);
  }

  /**
   * {@return where a directory is while another one is put in its place in steps}
   *
   * @param of the directory
   */
  public static Path aside(Path of) {
    return of.resolveSibling(of.getFileName() + ".former");
  }

  /** By two moves; where the second one is now. */
  static Path exchangeInSteps(Path one, Path other) throws IOException {
    Path aside = aside(other);
    Files.move(other, aside, StandardCopyOption.ATOMIC_MOVE);
    try {
      Files.move(one, other, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Files.move(aside, other, StandardCopyOption.ATOMIC_MOVE);
      throw e;
    }
    return aside;
  }

  /**
   * Makes the names in the directory of {@code file} durable, after it was made or moved there.
   *
   * @param file the file
   */
  public static void syncDirectory(Path file) {
    Path directory = file.toAbsolutePath().getParent();
    if (directory != null) {
      Posix.syncDirectory(directory);
      Tracking.sideFilesChanged(file);
    }
  }
}
