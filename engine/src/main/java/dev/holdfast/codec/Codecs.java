package dev.holdfast.codec;

import java.math.BigInteger;
import java.time.Instant;
import java.util.UUID;

/** Codecs of common types; each preserves an order, which its description names. */
public final class Codecs {
  /** One byte with its sign, in natural order. */
  public static final Codec<Byte> BYTE =
      new NumberCodec<>("byte", 1, value -> value ^ 0x80L, bits -> (byte) (bits ^ 0x80));

  /** Two bytes with their sign, in natural order. */
  public static final Codec<Short> SHORT =
      new NumberCodec<>("short", 2, value -> value ^ 0x8000L, bits -> (short) (bits ^ 0x8000));

  /** Four bytes with their sign, in natural order. */
  public static final Codec<Integer> INTEGER =
      new NumberCodec<>(
          "int", 4, value -> value ^ Integer.MIN_VALUE, bits -> (int) bits ^ Integer.MIN_VALUE);

  /** Eight bytes with their sign, in natural order. */
  public static final Codec<Long> LONG =
      new NumberCodec<>("long", 8, value -> value ^ Long.MIN_VALUE, bits -> bits ^ Long.MIN_VALUE);

  /** One UTF-16 unit, in natural order. */
  public static final Codec<Character> CHARACTER =
      new NumberCodec<>("char", 2, value -> value, bits -> (char) bits);

  /** One byte, 0 or 1; false comes first. */
  public static final Codec<Boolean> BOOLEAN =
      new NumberCodec<>(
          "boolean", 1, value -> value ? 1 : 0, bits -> bits > 1 ? null : (Boolean) (bits == 1));

  /**
   * Four bytes, in the order of {@link Float#compare}: -0.0 before 0.0, NaN behind all others.
   * There is one NaN.
   */
  public static final Codec<Float> FLOAT =
      new NumberCodec<>("float", 4, FloatingBits::ofFloat, FloatingBits::toFloat);

  /**
   * Eight bytes, in the order of {@link Double#compare}: -0.0 before 0.0, NaN behind all others.
   * There is one NaN.
   */
  public static final Codec<Double> DOUBLE =
      new NumberCodec<>("double", 8, FloatingBits::ofDouble, FloatingBits::toDouble);

  /**
   * UTF-8, in the order of code points. {@link String#compareTo} differs: it compares UTF-16 units,
   * and has the code points from U+10000 on before those from U+E000 to U+FFFF. A string with a
   * surrogate that has no partner is refused.
   */
  public static final Codec<String> STRING = new StringCodec();

  /**
   * Sixteen bytes, as text has them, in the order of these bytes without a sign, as RFC 9562 and
   * databases have it. {@link UUID#compareTo} differs: it takes each half for a number with a sign.
   * A map with such keys has the order of this codec's comparator, and says so.
   */
  public static final Codec<UUID> UUID = new UuidCodec();

  /** Twelve bytes, seconds and nanoseconds, in natural order. */
  public static final Codec<Instant> INSTANT = new InstantCodec();

  /** Any bytes as they are, in unsigned lexicographic order. They are copied. */
  public static final Codec<byte[]> BYTES = new ByteArrayCodec();

  /** Four bytes more than the number needs, in natural order. */
  public static final Codec<BigInteger> BIG_INTEGER = new BigIntegerCodec();

  private Codecs() {}

  /**
   * {@return two values, the first one in front: in the order of the first one, then of the second
   * one}
   *
   * <p>A value of {@linkplain Codec#length fixed length}, and the last one, takes its own bytes;
   * any other one two more, and one more for each byte of it that is 0.
   *
   * @param <A> the type of the first one
   * @param <B> the type of the second one
   * @param a the codec of the first one
   * @param b the codec of the second one
   */
  public static <A, B> Codec<Tuple2<A, B>> tuple(Codec<A> a, Codec<B> b) {
    return new Tuple2Codec<>(a, b, new TupleBytes("tuple", a, b));
  }

  /**
   * {@return three values, as {@link #tuple(Codec, Codec)}}
   *
   * @param <A> the type of the first one
   * @param <B> the type of the second one
   * @param <C> the type of the third one
   * @param a the codec of the first one
   * @param b the codec of the second one
   * @param c the codec of the third one
   */
  public static <A, B, C> Codec<Tuple3<A, B, C>> tuple(Codec<A> a, Codec<B> b, Codec<C> c) {
    return new Tuple3Codec<>(a, b, c, new TupleBytes("tuple", a, b, c));
  }

  /**
   * {@return four values, as {@link #tuple(Codec, Codec)}}
   *
   * @param <A> the type of the first one
   * @param <B> the type of the second one
   * @param <C> the type of the third one
   * @param <D> the type of the fourth one
   * @param a the codec of the first one
   * @param b the codec of the second one
   * @param c the codec of the third one
   * @param d the codec of the fourth one
   */
  public static <A, B, C, D> Codec<Tuple4<A, B, C, D>> tuple(
      Codec<A> a, Codec<B> b, Codec<C> c, Codec<D> d) {
    return new Tuple4Codec<>(a, b, c, d, new TupleBytes("tuple", a, b, c, d));
  }
}
