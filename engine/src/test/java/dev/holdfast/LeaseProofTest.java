package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.proof.ProofJvm;
import dev.holdfast.proof.ProofJvm.Compilers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Leases in processes of their own, for every compiler and collector, warm and cold: no loss of a
 * leg of a mirror is noticed, no byte is wrong, no error escapes, and the JVM lives.
 */
final class LeaseProofTest {
  private static final int ROUNDS = 6;

  @TempDir Path directory;

  static Stream<Arguments> cells() {
    List<Compilers> compilers =
        List.of(
            Compilers.tiered(60_000),
            new Compilers("cold", 0, List.of()),
            Compilers.interpreter(500),
            Compilers.c1(40_000),
            Compilers.c2(60_000));
    return compilers.stream()
        .flatMap(c -> Stream.of("Serial", "Parallel", "G1", "Z").map(gc -> Arguments.of(c, gc)));
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cells")
  void leasesOutliveTheLossOfLegsAndAreRevokedByTheLossOfAll(Compilers compilers, String collector)
      throws Exception {
    List<String> options = new ArrayList<>(compilers.options());
    options.add("-XX:+Use" + collector + "GC");
    ProofJvm child =
        ProofJvm.run(
            directory,
            options,
            System.getProperty("java.class.path"),
            LeaseProof.class,
            Long.toString(compilers.warmUp()),
            Integer.toString(ROUNDS));
    assertAll(
        child.output(),
        () -> assertEquals(0, child.exitCode()),
        () -> assertFalse(child.crashed(), "the JVM crashed"),
        () -> assertEquals(0, child.count("wrong")),
        () -> assertEquals(0, child.count("failed")),
        // All of it means nothing unless there were losses, met by accesses.
        () -> assertTrue(child.count("accesses") >= compilers.warmUp() + ROUNDS * 200),
        () -> assertTrue(child.count("faultsCaught") >= ROUNDS),
        () -> assertTrue(child.count("revoked") >= 1_000));
  }
}
