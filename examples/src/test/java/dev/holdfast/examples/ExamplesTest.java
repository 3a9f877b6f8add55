package dev.holdfast.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ExamplesTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  private int run(String... arguments) {
    return Examples.run(
        arguments,
        new PrintStream(out, true, StandardCharsets.UTF_8),
        new PrintStream(err, true, StandardCharsets.UTF_8));
  }

  @Test
  void examplesAreListedWithoutArguments() {
    assertEquals(0, run());
    assertTrue(out.toString(StandardCharsets.UTF_8).contains("  plug-pull    imports"));
  }

  @Test
  void unknownExampleIsToldWithTheKnownOnes() {
    assertEquals(2, run("plug-pul"));
    assertEquals("", out.toString(StandardCharsets.UTF_8));
    assertEquals(
        "examples/run: expected the name of an example (plug-pull, ledger, tail), was \"plug-pul\"",
        err.toString(StandardCharsets.UTF_8).strip());
  }
}
