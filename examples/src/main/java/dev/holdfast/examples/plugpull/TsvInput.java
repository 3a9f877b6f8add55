package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The lines of a file: key, TAB, value. Bytes are taken as they are; further TABs belong to the
 * value; a line ends with LF or CR LF. Where a key comes twice, its last line counts, as for any
 * import that overwrites.
 */
final class TsvInput implements Input {
  /** Where the value of a key lies in the file. */
  @SuppressWarnings("ArrayRecordComponent") // held, never compared
  private record Entry(byte[] key, long offset, int length) {}

  private final String name;
  private final Path file;
  private final List<Entry> entries;
  private final List<String> notes;

  private TsvInput(String name, Path file, List<Entry> entries, List<String> notes) {
    this.name = name;
    this.file = file;
    this.entries = entries;
    this.notes = notes;
  }

  /**
   * Reads the file once, to know where the values lie.
   *
   * @param name what to call it in messages
   * @throws BadInputException if a line is malformed; the message carries its number
   */
  static TsvInput of(String name, Path file) {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
      return new Scanner(name, in).scan(file);
    } catch (IOException e) {
      throw new BadInputException("--input " + name + ": cannot be read: " + e, e);
    }
  }

  /** One pass over the lines. */
  private static final class Scanner {
    private final String name;
    private final InputStream in;
    private final List<Entry> entries = new ArrayList<>();
    private final Map<ByteBuffer, Integer> places = new HashMap<>();
    private int duplicates;
    private long lineNumber;
    private long position;

    Scanner(String name, InputStream in) {
      this.name = name;
      this.in = in;
    }

    TsvInput scan(Path file) throws IOException {
      while (line()) {}
      List<String> notes =
          duplicates == 0
              ? List.of()
              : List.of(
                  duplicates
                      + (duplicates == 1 ? " line" : " lines")
                      + " left out: a later line has the same key");
      return new TsvInput(name, file, entries, notes);
    }

    /** Takes one line; false at the end. */
    private boolean line() throws IOException {
      lineNumber++;
      int next = in.read();
      if (next < 0) {
        return false;
      }
      ByteArrayOutputStream key = new ByteArrayOutputStream();
      for (; next != '\t'; next = in.read()) {
        if (next < 0 || next == '\n') {
          throw malformed("expected key TAB value, was a line without TAB");
        }
        if (key.size() == Store.MAX_KEY_LENGTH) {
          throw malformed("expected a key of at most " + Store.MAX_KEY_LENGTH + " bytes, was more");
        }
        key.write(next);
      }
      if (key.size() == 0) {
        throw malformed("expected a key before the TAB, was none");
      }
      position += key.size() + 1L;
      value(key.toByteArray());
      return true;
    }

    private void value(byte[] key) throws IOException {
      long start = position;
      int previous = -1;
      int next = in.read();
      for (; next >= 0 && next != '\n'; next = in.read()) {
        previous = next;
        position++;
      }
      long length = position - start - (previous == '\r' ? 1 : 0);
      if (length > Store.MAX_VALUE_LENGTH) {
        throw malformed(
            "expected a value of at most " + Store.MAX_VALUE_LENGTH + " bytes, was " + length);
      }
      if (next == '\n') {
        position++;
      }
      Entry entry = new Entry(key, start, Math.toIntExact(length));
      Integer place = places.putIfAbsent(ByteBuffer.wrap(key), entries.size());
      if (place == null) {
        entries.add(entry);
      } else {
        entries.set(place, entry);
        duplicates++;
      }
    }

    private BadInputException malformed(String what) {
      return new BadInputException("--input " + name + ", line " + lineNumber + ": " + what);
    }
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int count() {
    return entries.size();
  }

  @Override
  public byte[] key(int index) {
    return entries.get(index).key();
  }

  @Override
  public long length(int index) {
    return entries.get(index).length();
  }

  @Override
  public InputStream read(int index) throws IOException {
    Entry entry = entries.get(index);
    FileChannel channel = FileChannel.open(file);
    try {
      channel.position(entry.offset());
      return new Part(Channels.newInputStream(channel), entry.length());
    } catch (IOException e) {
      channel.close();
      throw e;
    }
  }

  @Override
  public List<String> notes() {
    return notes;
  }

  /** The first bytes of a stream. */
  private static final class Part extends InputStream {
    private final InputStream whole;
    private int left;

    Part(InputStream whole, int length) {
      this.whole = whole;
      this.left = length;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) throws IOException {
      if (left == 0) {
        return -1;
      }
      int n = whole.read(target, offset, Math.min(length, left));
      if (n > 0) {
        left -= n;
      }
      return n;
    }

    @Override
    public void close() throws IOException {
      whole.close();
    }
  }
}
