package dev.holdfast.policy;

import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.Subject.Content;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** The tables of docs/failure-model.md, and how they differ from a policy. */
public final class FailureTable {
  static final String HEADER =
      "| id | role | owner | topology | fault | verdict | what the user sees |";

  /** One cell of the space of decisions. */
  record Case(Role role, Content owner, Place place, FaultKind fault) {
    Verdict decidedBy(FailurePolicy policy) {
      return policy.decide(place.topology(), new Subject(role, owner), fault);
    }
  }

  record Row(String id, Case about, String verdict) {}

  /** The topologies that a policy can tell apart, as the tables call them. */
  enum Place {
    SURVIVORS("mirror, survivors"),
    NONE_LEFT("mirror, none left"),
    SINGLE("single");

    final String text;

    Place(String text) {
      this.text = text;
    }

    Topology topology() {
      return switch (this) {
        case SURVIVORS -> new Topology.Mirror(1);
        case NONE_LEFT -> new Topology.Mirror(0);
        case SINGLE -> new Topology.Single();
      };
    }

    static Place named(String text) {
      return Arrays.stream(values())
          .filter(place -> place.text.equals(text))
          .findFirst()
          .orElseThrow(() -> new IllegalArgumentException("no such topology: " + text));
    }
  }

  final List<Row> rows = new ArrayList<>();
  private final List<String> problems = new ArrayList<>();

  FailureTable(String markdown) {
    boolean inTable = false;
    for (String line : markdown.lines().toList()) {
      String squeezed = line.replaceAll(" +", " ").strip();
      if (!squeezed.startsWith("|")) {
        inTable = false;
      } else if (squeezed.equals(HEADER)) {
        inTable = true;
      } else if (inTable && !squeezed.startsWith("|--")) {
        parse(squeezed);
      }
    }
  }

  /** Reads the page from the repository that this runs in. */
  public static String page() {
    Path start = Path.of(System.getProperty("user.dir", ".")).toAbsolutePath();
    for (Path directory = start; directory != null; directory = directory.getParent()) {
      Path page = directory.resolve("docs").resolve("failure-model.md");
      if (Files.isRegularFile(page)) {
        try {
          return Files.readString(page);
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      }
    }
    throw new IllegalStateException("no docs/failure-model.md in " + start + " or above");
  }

  static Set<Case> allCases() {
    Set<Case> cases = new LinkedHashSet<>();
    for (FaultKind fault : FaultKind.values()) {
      for (Role role : Role.values()) {
        for (Content owner : Content.values()) {
          for (Place place : Place.values()) {
            cases.add(new Case(role, owner, place, fault));
          }
        }
      }
    }
    return cases;
  }

  static Set<String> verdictNames() {
    return Arrays.stream(Verdict.class.getPermittedSubclasses())
        .map(Class::getSimpleName)
        .collect(Collectors.toSet());
  }

  /** Everything in which the tables and the policy differ. */
  List<String> problemsWith(FailurePolicy policy) {
    List<String> all = new ArrayList<>(problems);
    Set<String> ids = new HashSet<>();
    Map<Case, String> idByCase = new HashMap<>();
    for (Row row : rows) {
      if (!ids.add(row.id)) {
        all.add(row.id + ": the id is used twice");
      }
      String other = idByCase.putIfAbsent(row.about, row.id);
      if (other != null) {
        all.add(row.id + ": " + row.about + " has the row " + other + " already");
      }
      String decided = row.about.decidedBy(policy).getClass().getSimpleName();
      if (!decided.equals(row.verdict)) {
        all.add(row.id + ": the table says " + row.verdict + ", the policy " + decided);
      }
    }
    for (Case one : allCases()) {
      if (!idByCase.containsKey(one)) {
        all.add(one + ": no row");
      }
    }
    return all;
  }

  private void parse(String line) {
    List<String> cells = Arrays.stream(line.split("\\|", -1)).map(String::strip).toList();
    try {
      // A cell before the first bar and one behind the last.
      if (cells.size() != 9 || cells.subList(1, 8).contains("")) {
        throw new IllegalArgumentException("expected 7 cells, none empty");
      }
      if (!verdictNames().contains(cells.get(6))) {
        throw new IllegalArgumentException("no such verdict: " + cells.get(6));
      }
      Case about =
          new Case(
              Role.valueOf(cells.get(2)),
              Content.valueOf(cells.get(3)),
              Place.named(cells.get(4)),
              FaultKind.valueOf(cells.get(5)));
      rows.add(new Row(cells.get(1), about, cells.get(6)));
    } catch (IllegalArgumentException e) {
      problems.add(line + ": no case: " + e.getMessage());
    }
  }
}
