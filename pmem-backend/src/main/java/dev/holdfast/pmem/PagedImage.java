package dev.holdfast.pmem;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.BitSet;

/**
 * The bytes of a device file, in pages that are shared with every copy taken and replaced when they
 * change: a copy costs a table of references, and two copies tell by the references which pages
 * differ at most.
 *
 * <p><b>Threads:</b> one; a {@linkplain #freeze copy} for any, as long as nobody changes it.
 */
final class PagedImage {
  /** Fixed, because it is also the page of the page cache model. */
  static final int PAGE = 4096;

  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final byte[] ZEROS = new byte[PAGE];

  private byte[][] pages;

  /** Pages that no copy shares. */
  private BitSet owned = new BitSet();

  private PagedImage(byte[][] pages) {
    this.pages = pages;
  }

  /** All zero. */
  PagedImage(long size) {
    this(new byte[pagesIn(size)][]);
    Arrays.fill(pages, ZEROS);
  }

  /** Takes over the bytes of a file, padded to whole pages. */
  static PagedImage of(byte[] file) {
    PagedImage image = new PagedImage(file.length);
    image.put(0, file, 0, file.length);
    return image;
  }

  private static int pagesIn(long size) {
    return Math.toIntExact(Math.ceilDiv(size, (long) PAGE));
  }

  /** A copy that stays as it is. */
  PagedImage freeze() {
    owned = new BitSet();
    return new PagedImage(pages.clone());
  }

  int pageCount() {
    return pages.length;
  }

  long size() {
    return (long) pages.length * PAGE;
  }

  /** The bytes of a page, not to be changed; the same object as long as they are the same. */
  byte[] page(int index) {
    return pages[index];
  }

  /** Adds zeros at the end. */
  void grow(long size) {
    int before = pages.length;
    pages = Arrays.copyOf(pages, pagesIn(size));
    for (int i = before; i < pages.length; i++) {
      pages[i] = ZEROS;
    }
  }

  /** The atom at a multiple of 8. */
  long atom(int offset) {
    return (long) LONG.get(pages[offset / PAGE], offset % PAGE);
  }

  void setAtom(int offset, long value) {
    LONG.set(own(offset / PAGE), offset % PAGE, value);
  }

  void put(int offset, byte[] source, int at, int length) {
    for (int done = 0; done < length; ) {
      int within = (offset + done) % PAGE;
      int n = Math.min(length - done, PAGE - within);
      System.arraycopy(source, at + done, own((offset + done) / PAGE), within, n);
      done += n;
    }
  }

  /** The bytes of a page, to be changed until the next {@link #freeze}. */
  byte[] own(int page) {
    if (!owned.get(page)) {
      pages[page] = pages[page].clone();
      owned.set(page);
    }
    return pages[page];
  }

  /** What all its atoms add to a {@link StateHash}. */
  long hash(long seed) {
    long sum = 0;
    for (int p = 0; p < pages.length; p++) {
      byte[] page = pages[p];
      for (int at = 0; at < PAGE; at += Long.BYTES) {
        sum += StateHash.atom(seed, (long) p * PAGE + at, (long) LONG.get(page, at));
      }
    }
    return sum;
  }
}
