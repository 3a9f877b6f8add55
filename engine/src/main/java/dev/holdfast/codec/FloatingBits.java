package dev.holdfast.codec;

import org.jspecify.annotations.Nullable;

/** The bits of floating-point numbers, so arranged that their unsigned order is the total one. */
final class FloatingBits {
  private FloatingBits() {}

  static long ofDouble(double value) {
    long bits = Double.doubleToLongBits(value);
    return bits ^ ((bits >> (Long.SIZE - 1)) | Long.MIN_VALUE);
  }

  /** Null for a NaN that is not the one: two keys would be equal otherwise. */
  static @Nullable Double toDouble(long arranged) {
    long bits = arranged ^ ((~arranged >> (Long.SIZE - 1)) | Long.MIN_VALUE);
    double value = Double.longBitsToDouble(bits);
    return Double.doubleToLongBits(value) == bits ? (Double) value : null;
  }

  static long ofFloat(float value) {
    int bits = Float.floatToIntBits(value);
    return Integer.toUnsignedLong(bits ^ ((bits >> (Integer.SIZE - 1)) | Integer.MIN_VALUE));
  }

  static @Nullable Float toFloat(long lowBits) {
    int arranged = (int) lowBits;
    int bits = arranged ^ ((~arranged >> (Integer.SIZE - 1)) | Integer.MIN_VALUE);
    float value = Float.intBitsToFloat(bits);
    return Float.floatToIntBits(value) == bits ? (Float) value : null;
  }
}
