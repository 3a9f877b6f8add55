package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.InvalidImageException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bad blocks of an emulated device, in 512-byte blocks, kept in a file beside it: like the
 * records of a DIMM's firmware they survive a restart, and no poison can reach them.
 *
 * <p>A block goes through three states: good, bad (listed, accesses fault), cleared (listed,
 * accesses work) and back to good. Which blocks were cleared is known to this opener alone: after a
 * restart in between they are bad.
 *
 * <p>The file is text, one {@code offset length} a line in bytes, as {@code ndctl list
 * --media-errors} has it in blocks.
 *
 * <p><b>Threads:</b> any; guarded by the list itself. <b>Failure:</b> a change that cannot be
 * written has not happened.
 */
final class BadBlockList {
  static final int BLOCK = 512;

  /** Two numbers of 19 digits, a space and the end of the line. */
  private static final int LONGEST_LINE = 40;

  private final Path file;

  /** Replaced, never changed, so that a change that cannot be written leaves no trace. */
  private BitSet bad = new BitSet();

  private BitSet cleared = new BitSet();

  private BadBlockList(Path file) {
    this.file = file;
  }

  /** Reads the list from its file; no file is an empty list. */
  static BadBlockList load(Path file, long capacity) {
    BadBlockList list = new BadBlockList(file);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return list;
    }
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
      throw new InvalidImageException(
          file + ": bad block list: expected a regular file, was something else");
    }
    try {
      // Ranges are apart by a block at least, so a longer file is no list, and not worth the
      // memory.
      long longest = (capacity / (2 * BLOCK) + 1) * LONGEST_LINE;
      if (Files.size(file) > longest) {
        throw new InvalidImageException(
            file
                + ": bad block list: expected at most "
                + longest
                + " bytes, was "
                + Files.size(file));
      }
      int number = 0;
      // No byte is malformed in this charset; what is no digit fails below, with its line.
      for (String line : Files.readAllLines(file, StandardCharsets.ISO_8859_1)) {
        number++;
        BadRange range = parse(line, capacity);
        if (range == null) {
          throw new InvalidImageException(
              file
                  + ", line "
                  + number
                  + ": expected an offset and a length inside "
                  + capacity
                  + " bytes, was \""
                  + line
                  + "\"");
        }
        list.bad.set(block(range.offset()), endBlock(range.offset(), range.length()));
      }
    } catch (IOException e) {
      throw new DeviceIoException(file + ": bad block list cannot be read: " + e, e);
    }
    return list;
  }

  private static @Nullable BadRange parse(String line, long capacity) {
    String[] words = line.split(" ", -1);
    if (words.length != 2) {
      return null;
    }
    try {
      long offset = Long.parseLong(words[0]);
      long length = Long.parseLong(words[1]);
      return offset < 0 || length <= 0 || offset > capacity - length
          ? null
          : new BadRange(offset, length);
    } catch (NumberFormatException e) {
      return null;
    }
  }

  /** Makes a range bad, durably, whatever it was before. */
  synchronized void add(long offset, long length) {
    BitSet next = (BitSet) bad.clone();
    next.set(block(offset), endBlock(offset, length));
    save(next);
    cleared.clear(block(offset), endBlock(offset, length));
  }

  /** Notes that the accesses to a range work again; its blocks stay listed. */
  synchronized void clear(long offset, long length) {
    cleared.set(block(offset), endBlock(offset, length));
    cleared.and(bad);
  }

  /** Forgets what was cleared, as a restart would. */
  synchronized void forgetCleared() {
    cleared = new BitSet();
  }

  /**
   * Drops the cleared blocks of a range, durably; what was poisoned again since, or never cleared,
   * stays.
   *
   * @return what was dropped
   */
  synchronized List<BadRange> drop(long offset, long length) {
    BitSet dropped = new BitSet();
    dropped.set(block(offset), endBlock(offset, length));
    dropped.and(cleared);
    if (dropped.isEmpty()) {
      return List.of();
    }
    BitSet next = (BitSet) bad.clone();
    next.andNot(dropped);
    save(next);
    cleared.andNot(dropped);
    return rangesOf(dropped);
  }

  synchronized boolean overlaps(long offset, long length) {
    if (length == 0) {
      return false;
    }
    int next = bad.nextSetBit(block(offset));
    return next >= 0 && (long) next * BLOCK < offset + length;
  }

  /** Everything that is listed, cleared or not. */
  synchronized List<BadRange> ranges() {
    return rangesOf(bad);
  }

  /** What is listed and was not cleared: what a new window must fault on. */
  synchronized List<BadRange> faulting() {
    BitSet faulting = (BitSet) bad.clone();
    faulting.andNot(cleared);
    return rangesOf(faulting);
  }

  private static List<BadRange> rangesOf(BitSet blocks) {
    List<BadRange> ranges = new ArrayList<>();
    for (int from = blocks.nextSetBit(0); from >= 0; ) {
      int to = blocks.nextClearBit(from);
      ranges.add(new BadRange((long) from * BLOCK, (long) (to - from) * BLOCK));
      from = blocks.nextSetBit(to);
    }
    return List.copyOf(ranges);
  }

  private void save(BitSet next) {
    StringBuilder text = new StringBuilder();
    for (BadRange range : rangesOf(next)) {
      text.append(range.offset()).append(' ').append(range.length()).append('\n');
    }
    try {
      DurableFile.replace(file, text.toString().getBytes(StandardCharsets.US_ASCII));
    } catch (IOException e) {
      throw new DeviceIoException(file + ": bad block list cannot be written: " + e, e);
    }
    bad = next;
  }

  private static int block(long offset) {
    return Math.toIntExact(offset / BLOCK);
  }

  private static int endBlock(long offset, long length) {
    return length == 0 ? block(offset) : Math.toIntExact((offset + length - 1) / BLOCK + 1);
  }
}
