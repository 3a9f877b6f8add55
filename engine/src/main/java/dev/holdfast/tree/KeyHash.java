package dev.holdfast.tree;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * The hash of a key under a secret: who does not know the secret cannot choose keys that are alike.
 *
 * <p>Sixteen bytes at a time are folded by one multiplication of 64 by 64 bits, whose two halves
 * are combined. Three such chains run side by side over long keys. It is a hash for tables; it
 * proves nothing about a key.
 *
 * <p>Of hashes only the fingerprints of losses are stored: with another function they are another
 * format. <b>Threads:</b> any; it has no state and allocates nothing. <b>Source:</b> the folding
 * and the order of reads are those of Wang Yi's wyhash, final version 4.3 (<a
 * href="https://github.com/wangyi-fudan/wyhash">wyhash.h</a>, public domain), with its default
 * secret as constants; under the secret 0 this is that function. There, a key that holds one of the
 * constants makes a factor 0, which wipes out the seed and what stands beside it: anyone can name
 * keys that are alike under all seeds. Here the secret is also in the factors that are made of the
 * key alone.
 */
final class KeyHash {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  private static final long A = 0x2d358dccaa6c78a5L;
  private static final long B = 0x8bb84b93962eacc9L;
  private static final long C = 0x4b33a62ed433d4a3L;
  private static final long D = 0x4d5a2da51de1aa47L;

  private static final int BLOCK = 48;

  private KeyHash() {}

  /**
   * Hashes a range of bytes.
   *
   * @param secret any 64 bits, the same for all keys of a table
   * @throws IndexOutOfBoundsException if the range is not inside the array
   */
  static long of(long secret, byte[] bytes, int offset, int length) {
    Objects.checkFromIndexSize(offset, length, bytes.length);
    long seed = secret ^ fold(secret ^ A, B);
    long hidden = secret ^ B;
    long a;
    long b;
    if (length <= 16) {
      if (length >= 4) {
        // Two reads from each end, which meet or overlap: every byte is in one of them.
        int middle = length >>> 3 << 2;
        int last = offset + length - Integer.BYTES;
        a = word(bytes, offset) << 32 | word(bytes, offset + middle);
        b = word(bytes, last) << 32 | word(bytes, last - middle);
      } else if (length > 0) {
        a =
            (bytes[offset] & 0xffL) << 16
                | (bytes[offset + (length >>> 1)] & 0xffL) << 8
                | (bytes[offset + length - 1] & 0xffL);
        b = 0;
      } else {
        a = 0;
        b = 0;
      }
    } else {
      int at = offset;
      int rest = length;
      if (rest >= BLOCK) {
        long second = seed;
        long third = seed;
        do {
          seed = fold(words(bytes, at) ^ hidden, words(bytes, at + 8) ^ seed);
          second = fold(words(bytes, at + 16) ^ secret ^ C, words(bytes, at + 24) ^ second);
          third = fold(words(bytes, at + 32) ^ secret ^ D, words(bytes, at + 40) ^ third);
          at += BLOCK;
          rest -= BLOCK;
        } while (rest >= BLOCK);
        seed ^= second ^ third;
      }
      while (rest > 16) {
        seed = fold(words(bytes, at) ^ hidden, words(bytes, at + 8) ^ seed);
        at += 16;
        rest -= 16;
      }
      // The last sixteen, of which some may have been read before.
      a = words(bytes, at + rest - 16);
      b = words(bytes, at + rest - 8);
    }
    a ^= hidden;
    b ^= seed;
    long low = a * b;
    long high = Math.unsignedMultiplyHigh(a, b);
    return fold(low ^ A ^ length, high ^ B);
  }

  private static long fold(long a, long b) {
    return a * b ^ Math.unsignedMultiplyHigh(a, b);
  }

  private static long words(byte[] bytes, int at) {
    return (long) LONG.get(bytes, at);
  }

  private static long word(byte[] bytes, int at) {
    return (int) INT.get(bytes, at) & 0xffffffffL;
  }
}
