package dev.holdfast.examples.plugpull;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import net.openhft.chronicle.bytes.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Makes values of the source's bytes and checks what the store gives back. Values are off the heap
 * and digested in pieces: the largest would not fit on it.
 *
 * <p><b>Threads:</b> confined to one.
 */
final class Values {
  private final MessageDigest sha256;
  private final byte[] piece = new byte[1 << 14];

  Values() {
    try {
      sha256 = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  /**
   * Reads a value from its source.
   *
   * @return the SHA-256 of the source's bytes
   */
  byte[] load(Input input, int index, Bytes<?> into) throws IOException {
    into.clear();
    try (InputStream in = input.read(index)) {
      for (int n = in.read(piece); n >= 0; n = in.read(piece)) {
        into.write(piece, 0, n);
        sha256.update(piece, 0, n);
      }
    }
    return sha256.digest();
  }

  /** Marks a loaded value as a later version. */
  static void version(Bytes<?> value, int version) {
    if (version > 0) {
      value.writeLong(version);
    }
  }

  /**
   * Compares what the store gave with the ledger.
   *
   * @param oldest the version acknowledged before the read began
   * @param newest the version handed to the store before the read ended
   * @return what is wrong, or null where it is right
   */
  @Nullable String check(Bytes<?> value, Ledger ledger, int index, int oldest, int newest) {
    long length = ledger.length(index);
    long found = value.readRemaining();
    long version;
    if (found == length) {
      version = 0;
    } else if (found == length + Long.BYTES) {
      version = value.readLong(value.readPosition() + length);
    } else {
      return "expected " + length + " bytes, was " + found;
    }
    for (long at = 0; at < length; ) {
      int n = (int) Math.min(piece.length, length - at);
      value.read(value.readPosition() + at, piece, 0, n);
      sha256.update(piece, 0, n);
      at += n;
    }
    if (!ledger.digestEquals(index, sha256.digest())) {
      return "expected the source's SHA-256, was another";
    }
    if (version < oldest || version > newest) {
      return "expected version " + oldest + " to " + newest + ", was " + version;
    }
    return null;
  }
}
