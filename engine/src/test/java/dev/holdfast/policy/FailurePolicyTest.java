package dev.holdfast.policy;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailureTable.Case;
import dev.holdfast.policy.FailureTable.Place;
import dev.holdfast.policy.FailureTable.Row;
import dev.holdfast.policy.Subject.Content;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class FailurePolicyTest {
  private static final FailurePolicy POLICY = FailurePolicy.standard();
  private static final String PAGE = FailureTable.page();

  static Stream<Row> rows() {
    return new FailureTable(PAGE).rows.stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("rows")
  void rowSaysWhatThePolicyDecides(Row row) {
    assertEquals(row.verdict(), row.about().decidedBy(POLICY).getClass().getSimpleName(), row.id());
  }

  @Test
  void everyCaseHasOneRowAndEveryRowACase() {
    assertEquals(List.of(), new FailureTable(PAGE).problemsWith(POLICY));
    assertEquals(7 * 4 * 2 * 3, rows().count(), "cases of the types as they are now");
  }

  @Test
  void missingRowIsFound() {
    String page = PAGE.replaceFirst("(?m)^\\| P03 .*\\n", "");
    List<String> problems = new FailureTable(page).problemsWith(POLICY);
    assertEquals(1, problems.size(), problems::toString);
    assertTrue(problems.getFirst().endsWith("no row"), problems::toString);
  }

  @Test
  void extraRowIsFound() {
    String twice = PAGE.replaceFirst("(?m)^(\\| )P03( .*\\n)", "$1P99$2$1P03$2");
    List<String> problems = new FailureTable(twice).problemsWith(POLICY);
    assertEquals(1, problems.size(), problems::toString);
    assertTrue(problems.getFirst().contains("has the row P99 already"), problems::toString);

    String unknown =
        PAGE.replaceFirst(
            "(?m)^(\\| P03 .*\\n)", "$1| P99 | TAPE | VALUE | single | POISON | Ignore | x |\n");
    problems = new FailureTable(unknown).problemsWith(POLICY);
    assertEquals(1, problems.size(), problems::toString);
    assertTrue(problems.getFirst().contains("no case"), problems::toString);
  }

  @Test
  void wrongVerdictIsFound() {
    String page = PAGE.replaceFirst("(?m)^(\\| P03 .*\\| )NameLost( .*)$", "$1Ignore$2");
    List<String> problems = new FailureTable(page).problemsWith(POLICY);
    assertEquals(List.of("P03: the table says Ignore, the policy NameLost"), problems);
    List<String> other =
        new FailureTable(PAGE).problemsWith((topology, subject, fault) -> new Verdict.Fail());
    assertEquals(FailureTable.allCases().size(), other.size());
  }

  @Test
  void idUsedTwiceIsFound() {
    String page = PAGE.replaceFirst("(?m)^\\| P04 ", "| P03 ");
    assertEquals(List.of("P03: the id is used twice"), new FailureTable(page).problemsWith(POLICY));
  }

  @Test
  void tablesKnowEveryTopologyThereIs() {
    Set<Class<?>> known =
        Stream.of(Place.values())
            .map(place -> place.topology().getClass())
            .collect(Collectors.toSet());
    assertEquals(Set.of(Topology.class.getPermittedSubclasses()), known);
  }

  @Test
  void everyVerdictButFailIsSaidSomewhere() {
    Set<String> unused = new TreeSet<>(FailureTable.verdictNames());
    rows().forEach(row -> unused.remove(row.verdict()));
    assertEquals(Set.of("Fail"), unused);
  }

  @Test
  void everyVerdictIsDefinedOnThePage() {
    for (String verdict : FailureTable.verdictNames()) {
      assertTrue(PAGE.lines().anyMatch(line -> line.startsWith("| " + verdict + " ")), verdict);
    }
  }

  @Test
  void moreSurvivorsChangeNothing() {
    for (Case one : FailureTable.allCases()) {
      if (one.place() == Place.SURVIVORS) {
        Subject subject = new Subject(one.role(), one.owner());
        Verdict two = POLICY.decide(new Topology.Mirror(2), subject, one.fault());
        assertEquals(one.decidedBy(POLICY), two, one::toString);
      }
    }
  }

  @Test
  void softErrorNeverTakesTheLastGoodCopyOutOfUse() {
    for (Case one : FailureTable.allCases()) {
      boolean soft = EnumSet.of(FaultKind.CHECKSUM, FaultKind.SLOW).contains(one.fault());
      if (soft && one.place() != Place.SURVIVORS && one.role() != Role.CACHE) {
        boolean givenUp =
            switch (one.decidedBy(POLICY)) {
              case Verdict.FailOver(),
                  Verdict.GoOffline(),
                  Verdict.Fail(),
                  Verdict.Evacuate(),
                  Verdict.Detach() ->
                  true;
              case Verdict.Repair(),
                  Verdict.NameLost(),
                  Verdict.ReadOnly(),
                  Verdict.RefuseRemoval(),
                  Verdict.RehomeLog(),
                  Verdict.Resilver(),
                  Verdict.Reconcile(),
                  Verdict.Watch(),
                  Verdict.Ignore() ->
                  false;
            };
        assertFalse(givenUp, one::toString);
      }
    }
  }

  @Test
  void offlineIsNeverCalledLost() {
    for (Case one : FailureTable.allCases()) {
      if (one.decidedBy(POLICY) instanceof Verdict.NameLost) {
        assertTrue(
            Set.of(FaultKind.POISON, FaultKind.CHECKSUM).contains(one.fault()), one::toString);
        assertEquals(Content.VALUE, one.owner(), one::toString);
      }
    }
  }

  @Test
  void mirrorWithFewerCopiesThanNoneIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Topology.Mirror(-1));
  }
}
