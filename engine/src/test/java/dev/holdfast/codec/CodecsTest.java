package dev.holdfast.codec;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.InvalidEncodingException;
import java.math.BigInteger;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class CodecsTest {
  private static final int PAIRS = 3_000;

  /**
   * A codec, and values of its type.
   *
   * @param corners where it is likely to go wrong
   * @param random any other value
   * @param invalid bytes, in hexadecimal, that are no value
   */
  record Case<T>(
      String name,
      Codec<T> codec,
      Comparator<? super T> order,
      List<T> corners,
      Function<SplittableRandom, T> random,
      List<String> invalid) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static final Comparator<UUID> UUID_ORDER = (a, b) -> a.toString().compareTo(b.toString());

  private static final Comparator<String> CODE_POINTS =
      (a, b) -> Arrays.compare(a.codePoints().toArray(), b.codePoints().toArray());

  static Stream<Case<?>> cases() {
    return Stream.of(
        new Case<>(
            "byte",
            Codecs.BYTE,
            Comparator.<Byte>naturalOrder(),
            List.of((byte) 0, (byte) 1, (byte) -1, Byte.MIN_VALUE, Byte.MAX_VALUE),
            random -> (byte) random.nextInt(),
            List.of("", "0000")),
        new Case<>(
            "short",
            Codecs.SHORT,
            Comparator.<Short>naturalOrder(),
            List.of((short) 0, (short) 1, (short) -1, (short) 255, (short) 256, Short.MIN_VALUE),
            random -> (short) random.nextInt(),
            List.of("00", "000000")),
        new Case<>(
            "int",
            Codecs.INTEGER,
            Comparator.<Integer>naturalOrder(),
            List.of(0, 1, -1, 255, 256, -256, Integer.MIN_VALUE, Integer.MAX_VALUE),
            random -> random.nextInt() >> random.nextInt(Integer.SIZE),
            List.of("", "000000", "0000000000")),
        new Case<>(
            "long",
            Codecs.LONG,
            Comparator.<Long>naturalOrder(),
            List.of(0L, 1L, -1L, 1L << 32, -1L << 32, Long.MIN_VALUE, Long.MAX_VALUE),
            random -> random.nextLong() >> random.nextInt(Long.SIZE),
            List.of("00000000", "000000000000000000")),
        new Case<>(
            "char",
            Codecs.CHARACTER,
            Comparator.<Character>naturalOrder(),
            List.of('\0', 'a', '\u00ff', '\u0100', '\ud800', '\uffff'),
            random -> (char) random.nextInt(),
            List.of("", "00")),
        new Case<>(
            "boolean",
            Codecs.BOOLEAN,
            Comparator.<Boolean>naturalOrder(),
            List.of(false, true),
            SplittableRandom::nextBoolean,
            List.of("", "02", "ff", "0000")),
        new Case<>(
            "float",
            Codecs.FLOAT,
            Comparator.<Float>naturalOrder(),
            List.of(
                0f,
                -0f,
                1f,
                -1f,
                Float.MIN_VALUE,
                -Float.MIN_VALUE,
                Float.MAX_VALUE,
                -Float.MAX_VALUE,
                Float.NEGATIVE_INFINITY,
                Float.POSITIVE_INFINITY,
                Float.NaN),
            random -> Float.intBitsToFloat(random.nextInt()),
            // Other NaNs, with and without a sign.
            List.of("00", "ffc00001", "003fffff", "007ffffe")),
        new Case<>(
            "double",
            Codecs.DOUBLE,
            Comparator.<Double>naturalOrder(),
            List.of(
                0d,
                -0d,
                1d,
                -1d,
                Double.MIN_VALUE,
                -Double.MIN_VALUE,
                Double.MAX_VALUE,
                -Double.MAX_VALUE,
                Double.NEGATIVE_INFINITY,
                Double.POSITIVE_INFINITY,
                Double.NaN),
            random -> Double.longBitsToDouble(random.nextLong()),
            List.of("00", "fff8000000000001", "0007ffffffffffff")),
        new Case<>(
            "string",
            Codecs.STRING,
            CODE_POINTS,
            List.of(
                "",
                "\0",
                "a",
                "a\0",
                "ab",
                "\u007f",
                "\u0080",
                "\u07ff",
                "\u0800",
                "\ud7ff",
                "\ue000",
                "\uffff",
                "\ud800\udc00",
                "\udbff\udfff",
                "a\uffff",
                "a\ud800\udc00"),
            CodecsTest::randomString,
            // Cut off, overlong, a surrogate, beyond the last code point.
            List.of("80", "c3", "c080", "eda080", "f4908080", "61ff")),
        new Case<>(
            "UUID",
            Codecs.UUID,
            UUID_ORDER,
            List.of(
                new UUID(0, 0),
                new UUID(0, -1),
                new UUID(-1, 0),
                new UUID(-1, -1),
                new UUID(Long.MIN_VALUE, 0),
                new UUID(Long.MAX_VALUE, Long.MIN_VALUE),
                new UUID(1, Long.MIN_VALUE),
                new UUID(1, 1)),
            random -> new UUID(random.nextLong() >> 60, random.nextLong()),
            List.of("", "000000000000000000000000000000", "0000000000000000000000000000000000")),
        new Case<>(
            "instant",
            Codecs.INSTANT,
            Comparator.<Instant>naturalOrder(),
            List.of(
                Instant.EPOCH,
                Instant.EPOCH.minusNanos(1),
                Instant.EPOCH.plusNanos(1),
                Instant.MIN,
                Instant.MAX),
            random -> Instant.ofEpochSecond(random.nextLong() >> 30, random.nextInt(1_000_000_000)),
            List.of(
                "",
                "80000000000000003b9aca00",
                "8000000000000000ffffffff",
                "000000000000000000000000")),
        new Case<>(
            "bytes",
            Codecs.BYTES,
            (Comparator<byte[]>) Arrays::compareUnsigned,
            List.of(new byte[0], new byte[1], new byte[2], new byte[] {-1}, new byte[] {127, -1}),
            CodecsTest::randomBytes,
            List.of()),
        new Case<>(
            "integer of any size",
            Codecs.BIG_INTEGER,
            Comparator.<BigInteger>naturalOrder(),
            List.of(
                BigInteger.ZERO,
                BigInteger.ONE,
                BigInteger.ONE.negate(),
                BigInteger.valueOf(127),
                BigInteger.valueOf(128),
                BigInteger.valueOf(-128),
                BigInteger.valueOf(-129),
                BigInteger.ONE.shiftLeft(2_040),
                BigInteger.ONE.shiftLeft(2_040).negate()),
            random -> {
              BigInteger size = new BigInteger(1, randomBytes(random));
              return random.nextBoolean() ? size : size.negate();
            },
            List.of("", "80000000", "8000000100ff", "800000020001", "7fffffff01", "80000001ff")),
        new Case<>(
            "tuple of 2",
            Codecs.tuple(Codecs.STRING, Codecs.BYTES),
            Comparator.<Tuple2<String, byte[]>, String>comparing(Tuple2::first, CODE_POINTS)
                .thenComparing(Tuple2::second, Arrays::compareUnsigned),
            List.of(
                new Tuple2<>("", new byte[0]),
                new Tuple2<>("", new byte[1]),
                new Tuple2<>("\0", new byte[0]),
                new Tuple2<>("\0\0", new byte[] {-1}),
                new Tuple2<>("a", new byte[0]),
                new Tuple2<>("a", new byte[] {0, -1}),
                new Tuple2<>("a\0", new byte[0]),
                new Tuple2<>("a\u0001", new byte[0])),
            random -> new Tuple2<>(randomString(random), randomBytes(random)),
            List.of("", "61", "6100", "610001", "ff0000")),
        new Case<>(
            "tuple of 3",
            Codecs.tuple(Codecs.BYTES, Codecs.INTEGER, Codecs.STRING),
            Comparator.<Tuple3<byte[], Integer, String>, byte[]>comparing(
                    Tuple3::first, Arrays::compareUnsigned)
                .thenComparing(Tuple3::second)
                .thenComparing(Tuple3::third, CODE_POINTS),
            List.of(
                new Tuple3<>(new byte[0], 0, ""),
                new Tuple3<>(new byte[1], -1, ""),
                new Tuple3<>(new byte[] {0, -1}, 0, "a"),
                new Tuple3<>(new byte[] {-1}, Integer.MIN_VALUE, "b"),
                new Tuple3<>(new byte[] {-1, 0}, Integer.MAX_VALUE, "b")),
            random ->
                new Tuple3<>(randomBytes(random), random.nextInt(4) - 2, randomString(random)),
            List.of("0000", "0000800000")),
        new Case<>(
            "tuple of 4, nested",
            Codecs.tuple(
                Codecs.LONG,
                Codecs.tuple(Codecs.STRING, Codecs.STRING),
                Codecs.DOUBLE,
                Codecs.BOOLEAN),
            Comparator.<Tuple4<Long, Tuple2<String, String>, Double, Boolean>, Long>comparing(
                    Tuple4::first)
                .thenComparing(tuple -> tuple.second().first(), CODE_POINTS)
                .thenComparing(tuple -> tuple.second().second(), CODE_POINTS)
                .thenComparing(Tuple4::third)
                .thenComparing(Tuple4::fourth),
            List.of(
                new Tuple4<>(0L, new Tuple2<>("", ""), 0d, false),
                new Tuple4<>(0L, new Tuple2<>("", "\0"), -0d, false),
                new Tuple4<>(0L, new Tuple2<>("\0", ""), Double.NaN, true),
                new Tuple4<>(-1L, new Tuple2<>("z", "\0\0"), 0d, true)),
            random ->
                new Tuple4<>(
                    random.nextLong(2),
                    new Tuple2<>(randomString(random), randomString(random)),
                    random.nextDouble() - 0.5,
                    random.nextBoolean()),
            List.of("8000000000000000", "8000000000000000000000000000000000000000")));
  }

  /** Few different units, so that strings begin alike; also those of which UTF-16 differs. */
  private static String randomString(SplittableRandom random) {
    int[] points = {0, 0, 1, 'a', 0x7f, 0x80, 0x7ff, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff};
    StringBuilder text = new StringBuilder();
    for (int length = random.nextInt(5); length > 0; length--) {
      text.appendCodePoint(points[random.nextInt(points.length)]);
    }
    return text.toString();
  }

  private static byte[] randomBytes(SplittableRandom random) {
    byte[] few = {0, 0, 1, 127, -128, -1};
    byte[] bytes = new byte[random.nextInt(6)];
    for (int at = 0; at < bytes.length; at++) {
      bytes[at] = few[random.nextInt(few.length)];
    }
    return bytes;
  }

  @ParameterizedTest
  @MethodSource("cases")
  <T> void whatIsEncodedIsDecodedAndInOrder(Case<T> given) {
    long seed = Long.getLong("seed", 20_260_731);
    SplittableRandom random = new SplittableRandom(seed);
    List<T> values = new ArrayList<>(given.corners());
    for (int i = 0; i < PAIRS; i++) {
      values.add(given.random().apply(random));
    }
    Comparator<? super T> own = Objects.requireNonNull(given.codec().comparator());
    for (int i = 0; i < values.size(); i++) {
      T a = values.get(i);
      byte[] encoded = given.codec().encode(a);
      T decoded = given.codec().decode(encoded);
      String what = given + ", seed " + seed + ", " + a;
      assertTrue(Objects.deepEquals(a, decoded) || a instanceof Record, what);
      assertEquals(0, given.order().compare(a, decoded), what);
      assertArrayEquals(encoded, given.codec().encode(decoded), what);
      if (given.codec().length() != Codec.VARIABLE) {
        assertEquals(given.codec().length(), encoded.length, what);
      }
      // Each corner with each other one, and with some of the others; the others in pairs.
      int step = i < given.corners().size() ? 1 : values.size() / 3;
      for (int j = 0; j < values.size(); j += step) {
        T b = values.get(j);
        int order = Integer.signum(given.order().compare(a, b));
        String pair = what + " and " + b;
        assertEquals(order, Integer.signum(own.compare(a, b)), pair);
        assertEquals(
            order, Integer.signum(Arrays.compareUnsigned(encoded, given.codec().encode(b))), pair);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  <T> void bytesOfNoValueAreATypedError(Case<T> given) {
    for (String hex : given.invalid()) {
      byte[] bytes = HexFormat.of().parseHex(hex);
      assertThrows(InvalidEncodingException.class, () -> given.codec().decode(bytes), hex);
    }
  }

  @Test
  void aSurrogateWithoutItsPartnerIsRefused() {
    for (String text : List.of("\ud800", "a\udc00b", "\udc00\ud800")) {
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> Codecs.STRING.encode(text));
      assertTrue(String.valueOf(refused.getMessage()).contains("surrogate"), refused::toString);
    }
  }

  @Test
  void ordersThatDifferFromTheNaturalOnesSaySo() {
    Comparator<? super UUID> uuids = Objects.requireNonNull(Codecs.UUID.comparator());
    UUID high = new UUID(Long.MIN_VALUE, 0);
    UUID low = new UUID(1, 0);
    assertTrue(high.compareTo(low) < 0 && uuids.compare(high, low) > 0);
    Comparator<? super String> strings = Objects.requireNonNull(Codecs.STRING.comparator());
    assertTrue("\ud800\udc00".compareTo("\uffff") < 0);
    assertTrue(strings.compare("\ud800\udc00", "\uffff") > 0);
  }

  @Test
  void whatIsDecodedSharesNoArrayWithItsBytes() {
    byte[] bytes = {1, 2};
    byte[] decoded = Codecs.BYTES.decode(bytes);
    byte[] encoded = Codecs.BYTES.encode(decoded);
    decoded[0] = 9;
    assertEquals(1, bytes[0]);
    assertEquals(1, encoded[0]);
  }

  @Test
  void aTupleOfPartsOfFixedLengthHasOne() {
    Codec<?> fixed = Codecs.tuple(Codecs.LONG, Codecs.UUID, Codecs.BOOLEAN);
    assertEquals(25, fixed.length());
    assertEquals(Codec.VARIABLE, Codecs.tuple(Codecs.LONG, Codecs.STRING).length());
    Tuple2<Long, Integer> zeros = new Tuple2<>(Long.MIN_VALUE, Integer.MIN_VALUE);
    assertEquals(12, Codecs.tuple(Codecs.LONG, Codecs.INTEGER).encode(zeros).length);
  }

  @Test
  void aPartWithoutOrderLeavesTheTupleWithoutOne() {
    Codec<String> unordered =
        new Codec<>() {
          @Override
          public byte[] encode(String value) {
            return Codecs.STRING.encode(value);
          }

          @Override
          public String decode(byte[] bytes) {
            return Codecs.STRING.decode(bytes);
          }

          @Override
          public @Nullable Comparator<String> comparator() {
            return null;
          }
        };
    assertEquals(null, Codecs.tuple(Codecs.LONG, unordered).comparator());
    assertNotEquals(null, Codecs.tuple(Codecs.LONG, Codecs.STRING).comparator());
  }

  @Test
  void aCodecThatIsWrongAboutItsLengthIsFoundOut() {
    Codec<String> lying =
        new Codec<>() {
          @Override
          public byte[] encode(String value) {
            return Codecs.STRING.encode(value);
          }

          @Override
          public String decode(byte[] bytes) {
            return Codecs.STRING.decode(bytes);
          }

          @Override
          public Comparator<? super String> comparator() {
            return Comparator.naturalOrder();
          }

          @Override
          public int length() {
            return 3;
          }
        };
    Codec<Tuple2<String, Long>> tuple = Codecs.tuple(lying, Codecs.LONG);
    assertFalse(tuple.encode(new Tuple2<>("abc", 1L)).length != 11);
    Tuple2<String, Long> wrong = new Tuple2<>("abcd", 1L);
    assertThrows(IllegalArgumentException.class, () -> tuple.encode(wrong));
  }
}
