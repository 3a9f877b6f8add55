package dev.holdfast;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/** A line of text that says what it is, has a version, and ends with the CRC-32C of the rest. */
final class CheckedLine {
  private static final String VERSION = "1";

  private CheckedLine() {}

  /** A line. No word has a blank in it. */
  static String of(String magic, String... words) {
    String body = magic + " " + VERSION + " " + String.join(" ", words);
    return body + " " + crc(body);
  }

  /**
   * The words of a line, with the one that it begins with, its version and its checksum; null where
   * it is none of these.
   */
  static String @Nullable [] words(String line, String magic, int count) {
    String[] words = line.split(" ", -1);
    if (words.length != count || !words[0].equals(magic) || !words[1].equals(VERSION)) {
      return null;
    }
    String body = line.substring(0, line.lastIndexOf(' '));
    return words[count - 1].equals(crc(body)) ? words : null;
  }

  private static String crc(String body) {
    CRC32C crc = new CRC32C();
    crc.update(body.getBytes(StandardCharsets.ISO_8859_1));
    return Long.toHexString(crc.getValue());
  }
}
