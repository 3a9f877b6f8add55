package dev.holdfast.pmem;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import jdk.nio.mapmode.ExtendedMapMode;

/**
 * A second, synchronous mapping of a device file, there for one thing: that the JVM writes cache
 * lines back through it, which it does for mappings of this kind alone. A line is a line of
 * physical memory, so it does not matter through which mapping it was stored to.
 *
 * <p><b>Units:</b> bytes, offsets are those of the file. <b>Threads:</b> any for {@link
 * #writeBack}; the rest one at a time. <b>Lifetime:</b> closed when no thread can be writing back.
 */
final class SyncAlias implements AutoCloseable {
  /** The piece from {@code from} on; a mapping cannot grow, so each growth adds one. */
  private static final class Piece {
    final long from;
    final MemorySegment mapping;

    Piece(long from, MemorySegment mapping) {
      this.from = from;
      this.mapping = mapping;
    }

    long end() {
      return from + mapping.byteSize();
    }
  }

  private final Path file;
  private final Arena arena = Arena.ofShared();
  private volatile List<Piece> pieces = List.of();

  /**
   * @param file any name of the file, also one below {@code /proc/self/fd}
   */
  SyncAlias(Path file) {
    this.file = file;
  }

  /**
   * Maps what lies between what is mapped and {@code end}.
   *
   * @param end at most the size of the file, which would grow otherwise
   * @throws IOException if the file system cannot map synchronously
   * @throws UnsupportedOperationException if the JVM cannot write cache lines back on this machine
   */
  void cover(long start, long end) throws IOException {
    List<Piece> now = pieces;
    long from = now.isEmpty() ? start : now.getLast().end();
    if (from >= end) {
      return;
    }
    boolean interrupted = Thread.interrupted(); // It would close the channel.
    try {
      while (true) {
        try {
          List<Piece> more = new ArrayList<>(now);
          more.add(new Piece(from, map(from, end - from)));
          pieces = List.copyOf(more);
          return;
        } catch (ClosedByInterruptException e) {
          interrupted |= Thread.interrupted();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private MemorySegment map(long from, long length) throws IOException {
    // The mapping outlives the channel.
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      return channel.map(ExtendedMapMode.READ_WRITE_SYNC, from, length, arena);
    }
  }

  /**
   * Writes back, as {@link Gateway#writeBack} does.
   *
   * @throws InternalError if a page is gone
   */
  void writeBack(long offset, long length) {
    long at = offset;
    long end = offset + length;
    for (Piece piece : pieces) {
      long to = Math.min(end, piece.end());
      if (at >= piece.from && at < to) {
        Gateway.writeBack(piece.mapping, at - piece.from, to - at);
        at = to;
      }
    }
    if (at < end) {
      throw new IllegalStateException(
          file + ": expected a mapping up to " + end + ", was one up to " + at);
    }
  }

  /** Whether a page can be reached through this mapping. */
  boolean answers(long offset) {
    try {
      for (Piece piece : pieces) {
        if (piece.from <= offset && offset < piece.end()) {
          Gateway.touch(piece.mapping, offset - piece.from);
        }
      }
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      return false;
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
