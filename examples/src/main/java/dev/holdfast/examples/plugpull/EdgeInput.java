package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.pmem.FaultInjector;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Generated entries at the edges of what a store holds: empty, one byte, around a page, 16 MiB, the
 * longest key.
 */
final class EdgeInput implements Input {
  @SuppressWarnings("ArrayRecordComponent") // held, never compared
  private record Entry(byte[] key, int length) {}

  private final long seed;
  private final List<Entry> entries = new ArrayList<>();

  /**
   * @param set tells several sets apart, in the keys
   * @param seed of the bytes
   */
  EdgeInput(String set, long seed) {
    this.seed = seed;
    int page = FaultInjector.pageSize();
    for (int length : new int[] {0, 1, page - 1, page, page + 1, 16 << 20}) {
      entries.add(new Entry(key("edge/" + set + "/" + length + "-bytes"), length));
    }
    byte[] longest = new byte[Store.MAX_KEY_LENGTH];
    Arrays.fill(longest, (byte) 'k');
    byte[] start = key("edge/" + set + "/longest-key-");
    System.arraycopy(start, 0, longest, 0, start.length);
    entries.add(new Entry(longest, 100));
  }

  private static byte[] key(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public String name() {
    return "edge entries";
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
  public InputStream read(int index) {
    return new Generated(seed + index, entries.get(index).length());
  }

  @Override
  public List<String> notes() {
    return List.of();
  }

  /** Pseudo-random bytes that need no room: 16 MiB on the heap would be a sixth of it. */
  private static final class Generated extends InputStream {
    private final Random random;
    private final byte[] chunk = new byte[4096];
    private ByteArrayInputStream current = new ByteArrayInputStream(new byte[0]);
    private int left;

    Generated(long seed, int length) {
      this.random = new Random(seed);
      this.left = length;
    }

    @Override
    public int read() {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] target, int offset, int length) {
      if (current.available() == 0 && left > 0) {
        random.nextBytes(chunk);
        int part = Math.min(chunk.length, left);
        current = new ByteArrayInputStream(chunk, 0, part);
        left -= part;
      }
      return current.read(target, offset, length);
    }
  }
}
