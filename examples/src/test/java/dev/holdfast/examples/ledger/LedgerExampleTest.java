package dev.holdfast.examples.ledger;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.TypedMap;
import dev.holdfast.codec.Codecs;
import dev.holdfast.codec.Tuple2;
import dev.holdfast.codec.chronicle.MarshallableCodec;
import dev.holdfast.examples.ledger.LedgerSettings.Fault;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The example as a user runs it, and what it says of money that is gone. */
@Timeout(60)
class LedgerExampleTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @TempDir Path directory;

  private static PrintStream to(ByteArrayOutputStream bytes) {
    return new PrintStream(bytes, true, StandardCharsets.UTF_8);
  }

  private int run(String... more) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--seconds",
                "1",
                "--accounts",
                "40",
                "--tellers",
                "2",
                "--dir",
                directory.toString()));
    arguments.addAll(List.of(more));
    return LedgerExample.run(arguments.toArray(String[]::new), to(out), to(err));
  }

  private String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private String err() {
    return err.toString(StandardCharsets.UTF_8);
  }

  @ParameterizedTest
  @CsvSource({"remove,it is put back", "poison,16 pages of leg 0 are poisoned", "none,40 accounts"})
  void theSumNeverChanges(String fault, String said) throws IOException {
    assertEquals(0, run("--fault", fault), this::err);
    assertEquals("", err());
    assertTrue(out().contains(said), this::out);
    assertTrue(out().contains("audits found 4,000.00"), this::out);
    assertTrue(out().contains("4,000.00, every account as the journal says"), this::out);
    assertTrue(out().contains("4,000.00 behind a close and an open, every account"), this::out);
    try (Stream<Path> left = Files.list(directory)) {
      assertEquals(0, left.count(), "what it made is removed");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--accounts,1,'--accounts: expected 2 to 1000000, was 1'",
    "--tellers,0,'--tellers: expected 1 to 64, was 0'",
    "--seconds,0,'--seconds: expected 1 to 3600, was 0'",
    "--seconds,soon,'Invalid value for option ''--seconds'''",
    "--fault,fire,'--fault: expected remove, poison or none, was \\\"fire\\\"'",
    "--dir,/none/at/all,'--dir: expected a directory to write to'"
  })
  void badArgumentsAreSaid(String option, String value, String said) {
    assertEquals(2, LedgerExample.run(new String[] {option, value}, to(out), to(err)), this::out);
    assertTrue(err().contains(said.replace("\\\"", "\"")), this::err);
  }

  private List<String> problemsWith(Consumer<Store> meddler) throws InterruptedException {
    LedgerSettings settings =
        new LedgerSettings(40, 2, Duration.ofSeconds(1), Fault.NONE, 1, directory);
    return new LedgerRun(settings, to(out), meddler).run(directory.resolve("store"));
  }

  private static void assertSays(List<String> problems, String what) {
    assertTrue(problems.stream().anyMatch(each -> each.startsWith(what)), problems::toString);
  }

  @Test
  void moneyThatAppearsIsFoundByTheAuditsAndAtTheEnd() throws Exception {
    List<String> problems =
        problemsWith(store -> {
          TypedMap<Integer, Account> accounts =
              store.map("accounts", Codecs.INTEGER, MarshallableCodec.of(Account::new));
          boolean done = false;
          while (!done) {
            Account before = Objects.requireNonNull(accounts.get(7));
            done = accounts.replace(7, before, before.plus(1));
          }
        });
    assertSays(problems, "audit ");
    assertSays(problems, "total: expected 4,000.00, was 4,000.01");
    assertSays(problems, "accounts: expected what the journal says");
    assertSays(problems, "total behind a close and an open: expected 4,000.00");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aLineThatIsGoneOrWasNeverAcknowledgedIsFound(boolean isGone) throws Exception {
    List<String> problems =
        problemsWith(store -> {
          TypedMap<Tuple2<Integer, Long>, Transfer> journal =
              store.map(
                  "journal",
                  Codecs.tuple(Codecs.INTEGER, Codecs.LONG),
                  MarshallableCodec.of(Transfer::new));
          if (isGone) {
            assertTrue(journal.remove(new Tuple2<>(0, 0L)));
          } else {
            journal.put(new Tuple2<>(9, 0L), new Transfer(1, 2, 3));
          }
        });
    assertSays(problems, "journal: expected ");
    assertSays(problems, "accounts: expected what the journal says");
    if (isGone) {
      assertSays(problems, "journal: line 0/0 is lost");
    }
  }
}
