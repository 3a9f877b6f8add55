package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.ContenderKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedSet;

/** What a run of {@code micro} tells people. */
final class MicroReport {
  private static final Path HUGE_PAGES = Path.of("/sys/kernel/mm/transparent_hugepage");

  private MicroReport() {}

  /** One line a cell, threads and mode: ours, then each peer with its ratio. */
  static String table(Collection<MicroRow> rows) {
    SequencedSet<String> peers = new LinkedHashSet<>();
    Map<List<String>, Map<String, MicroRow>> lines = new LinkedHashMap<>();
    for (MicroRow row : rows) {
      MicroRow.Key key = row.key();
      peers.add(key.peer());
      lines
          .computeIfAbsent(
              List.of(
                  key.cell(),
                  Integer.toString(key.threads()),
                  key.mode(),
                  key.persistence().name()),
              k -> new LinkedHashMap<>())
          .put(key.peer(), row);
    }
    List<String> header = new ArrayList<>(List.of("cell", "threads", "mode", "class", "ours"));
    header.addAll(peers);
    TextTable table = new TextTable(header.toArray(String[]::new));
    lines.forEach((names, byPeer) -> {
      List<String> cells = new ArrayList<>(names);
      MicroRow first = byPeer.values().iterator().next();
      cells.add(first.unit().text(first.ours()));
      for (String peer : peers) {
        MicroRow row = byPeer.get(peer);
        cells.add(
            row == null
                ? "-"
                : String.format(
                    Locale.ROOT, "%.2f (%s)", row.ratio(), row.unit().text(row.theirs())));
      }
      table.row(cells.toArray(String[]::new));
    });
    return table.toString();
  }

  /** How those that were measured are set up, a line each. */
  static String setUps(Collection<ContenderKind> kinds) {
    StringBuilder text = new StringBuilder();
    for (ContenderKind kind : kinds) {
      text.append(kind).append(": ").append(kind.setUp()).append('\n');
    }
    return text.toString();
  }

  /** How the system deals with huge pages: for anonymous and for shared memory. */
  static Map<String, Object> hugePageSettings() {
    Map<String, Object> settings = new LinkedHashMap<>();
    for (String name : List.of("enabled", "shmem_enabled")) {
      String value;
      try {
        value = Files.readString(HUGE_PAGES.resolve(name)).strip();
      } catch (IOException e) {
        value = "unknown";
      }
      settings.put("transparentHugePages." + name, value);
    }
    return settings;
  }

  /** Who had how much memory in huge pages. */
  static String hugePages(Map<ContenderKind, Long> kibibytes) {
    StringBuilder text = new StringBuilder("in huge pages while gets were measured:");
    kibibytes.forEach((kind, size) ->
        text.append(' ')
            .append(kind)
            .append(' ')
            .append(size < 0 ? "unknown" : Figures.count(size >> 10) + " MiB")
            .append(';'));
    return text.substring(0, text.length() - 1);
  }
}
