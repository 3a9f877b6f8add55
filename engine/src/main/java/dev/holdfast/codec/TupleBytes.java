package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.List;

/**
 * Joins the encodings of several values so that each can be told from the next, and the order of
 * the whole is that of the first one that differs.
 *
 * <p>A part of varying length ends with two bytes 0; a byte 0 within it is followed by 255. So the
 * end of a part comes before whatever could follow there.
 */
final class TupleBytes {
  private static final int ESCAPED = 0xff;
  private static final int END = 0;

  private final String what;
  private final int[] lengths;

  TupleBytes(String what, Codec<?>... parts) {
    this.what = what;
    this.lengths = Arrays.stream(parts).mapToInt(Codec::length).toArray();
  }

  /** The bytes of the whole; {@link Codec#VARIABLE} if they depend on the values. */
  int length() {
    int sum = 0;
    for (int length : lengths) {
      if (length == Codec.VARIABLE) {
        return Codec.VARIABLE;
      }
      sum += length;
    }
    return sum;
  }

  byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < parts.length; i++) {
      if (lengths[i] != Codec.VARIABLE && parts[i].length != lengths[i]) {
        throw new IllegalArgumentException(
            what + ": expected " + lengths[i] + " bytes of part " + i + ", was " + parts[i].length);
      }
      if (lengths[i] != Codec.VARIABLE || i == parts.length - 1) {
        out.writeBytes(parts[i]);
        continue;
      }
      for (byte each : parts[i]) {
        out.write(each);
        if (each == 0) {
          out.write(ESCAPED);
        }
      }
      out.write(0);
      out.write(END);
    }
    return out.toByteArray();
  }

  List<byte[]> split(byte[] bytes) {
    byte[][] parts = new byte[lengths.length][];
    int at = 0;
    for (int i = 0; i < parts.length; i++) {
      if (i == parts.length - 1) {
        parts[i] = Arrays.copyOfRange(bytes, at, bytes.length);
      } else if (lengths[i] != Codec.VARIABLE) {
        if (bytes.length - at < lengths[i]) {
          throw new InvalidEncodingException(
              what
                  + ": expected "
                  + lengths[i]
                  + " bytes of part "
                  + i
                  + ", was "
                  + (bytes.length - at));
        }
        parts[i] = Arrays.copyOfRange(bytes, at, at + lengths[i]);
        at += lengths[i];
      } else {
        ByteArrayOutputStream part = new ByteArrayOutputStream();
        at = unescape(bytes, at, i, part);
        parts[i] = part.toByteArray();
      }
    }
    return List.of(parts);
  }

  /** Where the next part begins. */
  private int unescape(byte[] bytes, int from, int part, ByteArrayOutputStream out) {
    for (int at = from; at < bytes.length; at++) {
      if (bytes[at] != 0) {
        out.write(bytes[at]);
        continue;
      }
      int next = ++at < bytes.length ? Byte.toUnsignedInt(bytes[at]) : -1;
      if (next == END) {
        return at + 1;
      }
      if (next != ESCAPED) {
        throw new InvalidEncodingException(
            what + ": expected 0 or 255 behind a 0 in part " + part + ", was " + next);
      }
      out.write(0);
    }
    throw new InvalidEncodingException(what + ": expected the end of part " + part + ", was none");
  }
}
