package dev.holdfast.benchmarks;

import com.fasterxml.jackson.jr.ob.JSON;
import java.io.IOException;
import java.util.Map;

/** JSON in one line: writes objects, and reads them back. */
final class JsonLine {
  private JsonLine() {}

  /** An object in one line, without its end. */
  static String write(Map<String, ?> object) throws IOException {
    return JSON.std.asString(object);
  }

  /**
   * Reads an object.
   *
   * @throws IllegalArgumentException if it is none
   */
  static Map<String, Object> read(String line) {
    try {
      return JSON.std.mapFrom(line);
    } catch (IOException e) {
      throw new IllegalArgumentException("expected an object in JSON: " + e.getMessage(), e);
    }
  }
}
