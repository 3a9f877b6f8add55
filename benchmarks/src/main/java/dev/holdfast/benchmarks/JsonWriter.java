package dev.holdfast.benchmarks;

import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Writes maps, collections, strings, numbers, booleans and nulls as JSON; an empty optional is
 * null. Keys keep the order of their map.
 *
 * <p><b>Source:</b> RFC 8259.
 */
final class JsonWriter {
  private final StringBuilder text = new StringBuilder();
  private final boolean indented;

  private JsonWriter(boolean indented) {
    this.indented = indented;
  }

  /**
   * The JSON text of a value, indented by two, ended by a line feed.
   *
   * @throws IllegalArgumentException if there is something in it that JSON cannot say
   */
  static String write(@Nullable Object value) {
    JsonWriter writer = new JsonWriter(true);
    writer.value(value, "\n");
    return writer.text.append('\n').toString();
  }

  /**
   * The JSON text of a value in one line, ended by a line feed.
   *
   * @throws IllegalArgumentException if there is something in it that JSON cannot say
   */
  static String line(@Nullable Object value) {
    JsonWriter writer = new JsonWriter(false);
    writer.value(value, "");
    return writer.text.append('\n').toString();
  }

  private void value(@Nullable Object value, String newLine) {
    switch (value) {
      case null -> text.append("null");
      case String string -> string(string);
      case Boolean bool -> text.append(bool);
      case Integer number -> text.append(number);
      case Long number -> text.append(number);
      case Double number when Double.isFinite(number) -> text.append(number);
      case Optional<?> optional -> value(optional.orElse(null), newLine);
      case OptionalLong number -> value(number.isPresent() ? number.getAsLong() : null, newLine);
      case Map<?, ?> map -> object(map, newLine);
      case Collection<?> items -> array(items, newLine);
      default ->
          throw new IllegalArgumentException(
              "expected something JSON can say, was " + value.getClass() + " " + value);
    }
  }

  private void object(Map<?, ?> map, String newLine) {
    String inner = indented ? newLine + "  " : "";
    String separator = "";
    text.append('{');
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      text.append(separator).append(inner);
      string((String) entry.getKey());
      text.append(indented ? ": " : ":");
      value(entry.getValue(), inner);
      separator = ",";
    }
    text.append(map.isEmpty() ? "}" : newLine + "}");
  }

  private void array(Collection<?> items, String newLine) {
    String inner = indented ? newLine + "  " : "";
    String separator = "";
    text.append('[');
    for (Object item : items) {
      text.append(separator).append(inner);
      value(item, inner);
      separator = ",";
    }
    text.append(items.isEmpty() ? "]" : newLine + "]");
  }

  private void string(String string) {
    text.append('"');
    for (int i = 0; i < string.length(); i++) {
      char c = string.charAt(i);
      switch (c) {
        case '"', '\\' -> text.append('\\').append(c);
        case '\n' -> text.append("\\n");
        case '\t' -> text.append("\\t");
        default -> {
          if (c < ' ') {
            text.append("\\u%04x".formatted((int) c));
          } else {
            text.append(c);
          }
        }
      }
    }
    text.append('"');
  }
}
