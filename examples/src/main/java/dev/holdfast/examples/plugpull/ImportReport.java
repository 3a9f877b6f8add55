package dev.holdfast.examples.plugpull;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * One message of the importing process, small enough that a pipe takes it whole or not at all.
 *
 * <pre>
 *  0      1        4        8          16                16+32
 *  | kind | unused | index  | version  ...
 *    byte            int      int, pad   number (long)     digest
 * </pre>
 */
final class ImportReport {
  /** What is reported. */
  enum Kind {
    /** The first message; number is the {@link #fingerprint}. */
    HELLO('H'),
    /** A write is about to be handed to the store; number is the length of the source's bytes. */
    ISSUED('I'),
    /** The store acknowledged a write. */
    ACKNOWLEDGED('A'),
    /** A thread (index) has done so many operations (number). */
    COUNT('C'),
    /** What a thread (index) did of late: see {@link #sample}. */
    SAMPLE('T'),
    /** The longest operation of the warm process, in nanoseconds (number). */
    CONTROL('S'),
    /** A leg (index) served so many reads (number). */
    DEVICE_READS('D'),
    /** An entry was lost. */
    LOST('L'),
    /** An entry was wrong. */
    WRONG('W'),
    /** So many operations failed (number). */
    FAILED('F');

    private final byte code;

    Kind(char code) {
      this.code = (byte) code;
    }

    private static Kind of(byte code) {
      for (Kind kind : values()) {
        if (kind.code == code) {
          return kind;
        }
      }
      throw new IllegalArgumentException("report: unknown kind " + code);
    }
  }

  /** Bytes of a message. */
  static final int LENGTH = 64;

  /** Legs at most. */
  static final int LEGS = 2;

  /** Writer and readers. */
  static final int METERS = 3;

  private static final int INDEX = 4;
  private static final int VERSION = 8;
  private static final int NUMBER = 16;
  private static final int DIGEST = 24;

  /** A sample has no digest: there the two times are. */
  private static final int NANOS = 24;

  private static final int LONGEST = 32;

  private final ByteBuffer bytes;

  ImportReport(byte[] message) {
    bytes = ByteBuffer.wrap(message);
  }

  static byte[] encode(Kind kind, int index, int version, long number, byte[] digest) {
    ByteBuffer message = ByteBuffer.allocate(LENGTH);
    message.put(0, kind.code);
    message.putInt(INDEX, index);
    message.putInt(VERSION, version);
    message.putLong(NUMBER, number);
    message.put(DIGEST, digest);
    return message.array();
  }

  static byte[] sample(int index, Meter.Sample sample) {
    byte[] message = encode(Kind.SAMPLE, index, 0, sample.bytes(), new byte[0]);
    ByteBuffer.wrap(message).putLong(NANOS, sample.nanos()).putLong(LONGEST, sample.longest());
    return message;
  }

  /** Tells whether two processes see the same entries in the same order. */
  static long fingerprint(Input input) {
    long hash = input.count();
    for (int i = 0; i < input.count(); i++) {
      hash = hash * 1_000_003 + Arrays.hashCode(input.key(i)) * 31L + input.length(i);
    }
    return hash;
  }

  Kind kind() {
    return Kind.of(bytes.get(0));
  }

  int index() {
    return bytes.getInt(INDEX);
  }

  int version() {
    return bytes.getInt(VERSION);
  }

  long number() {
    return bytes.getLong(NUMBER);
  }

  Meter.Sample sample() {
    return new Meter.Sample(bytes.getLong(NANOS), number(), bytes.getLong(LONGEST));
  }

  byte[] digest() {
    byte[] digest = new byte[Ledger.DIGEST_LENGTH];
    bytes.get(DIGEST, digest);
    return digest;
  }
}
