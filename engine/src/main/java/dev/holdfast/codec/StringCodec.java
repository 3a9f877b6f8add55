package dev.holdfast.codec;

import dev.holdfast.error.InvalidEncodingException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;

/** {@link Codecs#STRING}. */
final class StringCodec implements Codec<String> {
  private static final int UNITS_BEHIND_SURROGATES = 0x2000;

  @Override
  public byte[] encode(String value) {
    ByteBuffer bytes;
    try {
      bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(value));
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          "string of "
              + value.length()
              + " units: expected each surrogate to have a partner, was one without",
          e);
    }
    return Arrays.copyOfRange(bytes.array(), bytes.arrayOffset(), bytes.limit());
  }

  @Override
  public String decode(byte[] bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidEncodingException(
          "string: expected UTF-8, was " + bytes.length + " bytes that are not", e);
    }
  }

  @Override
  public Comparator<String> comparator() {
    return StringCodec::compare;
  }

  private static int compare(String a, String b) {
    int length = Math.min(a.length(), b.length());
    for (int at = 0; at < length; at++) {
      char left = a.charAt(at);
      char right = b.charAt(at);
      if (left != right) {
        return Integer.compare(place(left), place(right));
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  /** Surrogates stand for code points behind those of all other units. */
  private static int place(char unit) {
    return Character.isSurrogate(unit)
        ? unit + UNITS_BEHIND_SURROGATES
        : unit - (unit >= 0xE000 ? 0x800 : 0);
  }
}
