package dev.holdfast;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DumpDamagedException;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The entries of a store as a stream of bytes that depends on no store, no version of its files and
 * no machine: to keep, to send, and to write to any store. The format stands in {@code
 * docs/dump.md}; each part of it has a checksum that holds it to its dump and its place there.
 *
 * <p><b>Threads:</b> all methods are safe for any thread; a stream is for one at a time.
 */
public final class Dump {
  private Dump() {}

  /**
   * What a dump holds.
   *
   * @param entries how many entries
   * @param bytes the bytes of their keys and values
   */
  public record Summary(long entries, long bytes) {}

  /**
   * Dumps what a store holds now, of one moment. Operations go on meanwhile. It takes as much heap
   * as the largest value.
   *
   * @param store the store
   * @param out is flushed, and not closed. What it got is no dump where this throws
   * @return what was written
   * @throws IOException what the target throws
   * @throws dev.holdfast.error.DataLostException if an entry is lost
   * @throws dev.holdfast.error.SnapshotTooOldException if more was overwritten meanwhile than may
   *     be kept, see {@link StoreBuilder#snapshotBytes}
   */
  public static Summary write(Store store, OutputStream out) throws IOException {
    return new DumpWriter(out).write(store);
  }

  /**
   * Reads all of a dump, and writes nothing.
   *
   * @param in the dump; is not closed
   * @return what was read
   * @throws IOException what the source throws
   * @throws DumpDamagedException if it is not a whole dump as it was written
   */
  public static Summary verify(InputStream in) throws IOException {
    return new DumpReader(in).read(null);
  }

  /**
   * Writes the entries of a dump to a store, over those that have the same keys; others stay. The
   * dump is verified first, so that nothing is written where it is damaged.
   *
   * @param file where the dump is
   * @param store the store
   * @return what was written to the store
   * @throws DumpDamagedException if it is not a whole dump as it was written: nothing was written
   * @throws DeviceIoException if the file cannot be read
   */
  public static Summary read(Path file, Store store) {
    try {
      try (InputStream in = open(file)) {
        Summary _ = verify(in);
      }
      try (InputStream in = open(file)) {
        return read(in, store);
      }
    } catch (IOException e) {
      throw new DeviceIoException(file + ": the dump cannot be read: " + e, e);
    }
  }

  private static InputStream open(Path file) throws IOException {
    return new BufferedInputStream(Files.newInputStream(file), 1 << 16);
  }

  /**
   * As {@link #read(Path, Store)}, from a source that can be read but once: each entry is written
   * when it has been verified, and who finds the dump damaged says how many were.
   *
   * @param in the dump; is not closed
   * @param store the store
   * @return what was written to the store
   * @throws IOException what the source throws: some entries may have been written
   * @throws DumpDamagedException if it is not a whole dump as it was written; see {@link
   *     DumpDamagedException#entriesImported}
   */
  public static Summary read(InputStream in, Store store) throws IOException {
    return new DumpReader(in).read(store);
  }
}
