package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON in one line: writes objects, reads back what it has written.
 *
 * <p><b>Source:</b> RFC 8259; of its escapes only those that {@link JsonWriter} makes.
 */
final class JsonLine {
  private final String text;
  private int at;

  private JsonLine(String text) {
    this.text = text;
  }

  /** An object in one line, without its end. */
  static String write(Map<String, ?> object) {
    // A line feed in a string is escaped, so each that is there is layout.
    return JsonWriter.write(object).replaceAll("\n *", "");
  }

  /**
   * Reads an object: strings, doubles, booleans, lists and maps.
   *
   * @throws IllegalArgumentException if it is none
   */
  static Map<String, Object> read(String line) {
    JsonLine reader = new JsonLine(line);
    Map<String, Object> object = reader.object();
    reader.skipSpace();
    if (reader.at != line.length()) {
      throw reader.bad("the end");
    }
    return object;
  }

  private Object value() {
    skipSpace();
    char c = peek();
    if (c == '"') {
      return string();
    }
    if (c == '{') {
      return object();
    }
    if (c == '[') {
      return array();
    }
    int begin = at;
    while (at < text.length() && ",]} ".indexOf(text.charAt(at)) < 0) {
      at++;
    }
    String word = text.substring(begin, at);
    if (word.equals("true") || word.equals("false")) {
      return Boolean.valueOf(word);
    }
    try {
      return Double.valueOf(word);
    } catch (NumberFormatException e) {
      at = begin;
      throw bad("a value");
    }
  }

  private Map<String, Object> object() {
    Map<String, Object> object = new LinkedHashMap<>();
    expect('{');
    if (ends('}')) {
      return object;
    }
    do {
      skipSpace();
      String key = string();
      expect(':');
      object.put(key, value());
    } while (more('}'));
    return object;
  }

  private List<Object> array() {
    List<Object> array = new ArrayList<>();
    expect('[');
    if (ends(']')) {
      return array;
    }
    do {
      array.add(value());
    } while (more(']'));
    return array;
  }

  private boolean ends(char end) {
    skipSpace();
    if (peek() != end) {
      return false;
    }
    at++;
    return true;
  }

  private boolean more(char end) {
    if (ends(end)) {
      return false;
    }
    expect(',');
    return true;
  }

  private String string() {
    StringBuilder string = new StringBuilder();
    expect('"');
    while (peek() != '"') {
      char c = text.charAt(at++);
      if (c != '\\') {
        string.append(c);
        continue;
      }
      char escaped = peek();
      at++;
      switch (escaped) {
        case 'n' -> string.append('\n');
        case 't' -> string.append('\t');
        case '"', '\\' -> string.append(escaped);
        default -> throw bad("an escape");
      }
    }
    at++;
    return string.toString();
  }

  private void skipSpace() {
    while (at < text.length() && text.charAt(at) == ' ') {
      at++;
    }
  }

  private char peek() {
    if (at == text.length()) {
      throw bad("more");
    }
    return text.charAt(at);
  }

  private void expect(char c) {
    skipSpace();
    if (peek() != c) {
      throw bad("'" + c + "'");
    }
    at++;
  }

  private IllegalArgumentException bad(String expected) {
    return new IllegalArgumentException("column " + (at + 1) + ": expected " + expected);
  }
}
