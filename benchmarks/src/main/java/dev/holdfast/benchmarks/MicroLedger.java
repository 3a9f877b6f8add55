package dev.holdfast.benchmarks;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The rows that there are, in a file of one JSON object a line: each is written as it is measured,
 * and what the file holds is not measured again.
 *
 * <p>Lines without a cell tell of a run: what it ran on, how fast that is.
 */
final class MicroLedger {
  private static final String CELL = "cell";

  private final @Nullable Path file;
  private final Map<MicroRow.Key, MicroRow> rows = new LinkedHashMap<>();

  private MicroLedger(@Nullable Path file) {
    this.file = file;
  }

  /**
   * Reads what is there. A line that was cut off by the end of the process that wrote it is
   * dropped.
   *
   * @param file null to keep rows in memory
   * @throws Place.BadPlaceException if the file is something else
   */
  static MicroLedger open(@Nullable Path file) throws IOException {
    MicroLedger ledger = new MicroLedger(file);
    if (file == null || !Files.exists(file)) {
      return ledger;
    }
    String text = Files.readString(file);
    int whole = text.lastIndexOf('\n') + 1;
    int number = 0;
    for (String line : text.substring(0, whole).lines().toList()) {
      number++;
      try {
        Map<String, Object> json = JsonLine.read(line);
        if (json.containsKey(CELL)) {
          MicroRow row = MicroRow.of(json);
          ledger.rows.put(row.key(), row);
        }
      } catch (IllegalArgumentException e) {
        throw new Place.BadPlaceException(
            "%s, line %d: not written by this benchmark: %s"
                .formatted(file, number, e.getMessage()),
            e);
      }
    }
    if (whole < text.length()) {
      if (whole == 0 && !text.startsWith("{\"")) {
        throw new Place.BadPlaceException(file + ": not written by this benchmark");
      }
      Files.writeString(file, text.substring(0, whole));
    }
    return ledger;
  }

  boolean has(MicroRow.Key key) {
    return rows.containsKey(key);
  }

  void add(MicroRow row) throws IOException {
    rows.put(row.key(), row);
    note(row.json());
  }

  /** Writes something that is no row. */
  void note(Map<String, ?> json) throws IOException {
    if (file != null) {
      Files.writeString(
          file,
          JsonLine.write(json) + "\n",
          StandardCharsets.UTF_8,
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    }
  }

  /** The rows of quick or of full runs, forks merged, in the order in which they were measured. */
  List<MicroRow> merged(boolean quick) {
    Collection<List<MicroRow>> forks =
        rows.values().stream()
            .filter(row -> row.key().quick() == quick)
            .collect(
                Collectors.groupingBy(
                    row -> row.key().ofFork(0), LinkedHashMap::new, Collectors.toList()))
            .values();
    return new ArrayList<>(forks.stream().map(MicroRow::merged).toList());
  }
}
