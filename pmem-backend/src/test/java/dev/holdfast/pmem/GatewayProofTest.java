package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.proof.ProofJvm;
import dev.holdfast.proof.ProofJvm.Compilers;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The claim of {@link Gateway#barrier}, proved in processes of their own for every compiler and
 * collector: no access to a lost page is acknowledged, no {@link InternalError} escapes the try
 * around it, and the JVM lives.
 */
class GatewayProofTest {
  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  static Stream<Arguments> cells() {
    List<Compilers> compilers =
        List.of(
            Compilers.tiered(400_000),
            Compilers.interpreter(10_000),
            Compilers.c1(200_000),
            Compilers.c2(300_000));
    return compilers.stream()
        .flatMap(c -> Stream.of("Serial", "G1", "Z").map(gc -> Arguments.of(c, gc)));
  }

  @ParameterizedTest(name = "{0}, {1}")
  @MethodSource("cells")
  void noAccessToALostPageIsAcknowledged(Compilers compilers, String collector) throws Exception {
    List<String> options = new ArrayList<>(compilers.options());
    options.add("-XX:+Use" + collector + "GC");
    // Compiled one by one, each with its piece of the gateway inside, and not as part of the loop
    // of
    // a worker, which is thrown away as soon as anything new happens in it.
    for (String access :
        List.of("storeWord", "releaseWord", "fill", "copyIn", "loadWord", "copyOut")) {
      options.add("-XX:CompileCommand=dontinline," + GatewayProof.class.getName() + "::" + access);
    }
    long dead = GatewayProof.deadAccesses(compilers.warmUp());
    long poisoned = GatewayProof.poisonedAccesses(compilers.warmUp());
    long seed = Seed.next("GatewayProofTest " + compilers + " " + collector);
    ProofJvm child =
        run(options, GatewayProof.class, Long.toString(seed), Long.toString(compilers.warmUp()));
    assertAll(
        child.output(),
        () -> assertEquals(0, child.exitCode()),
        () -> assertFalse(child.crashed(), "the JVM crashed"),
        () -> assertEquals(0, child.count("acknowledgedOnDead")),
        () -> assertEquals(0, child.count("escaped")),
        () -> assertEquals(0, child.count("wrongLoads")),
        () -> assertEquals(0, child.count("wrongInFile")),
        // All of it means nothing unless there were dead pages, and warm code.
        () -> assertTrue(child.count("deadAccesses") >= 2 * dead),
        () -> assertTrue(child.count("poisonedAccesses") >= 2 * poisoned),
        () -> assertTrue(child.count("caught") >= 2 * (dead + poisoned)),
        () -> assertTrue(child.count("operations") >= 2 * compilers.warmUp()));
  }

  /** The control: without it the proof could hold because nothing ever goes wrong here. */
  @RepeatedTest(3)
  void codeWithoutTheBarrierAcknowledgesOnALostPage() throws Exception {
    // Compiled by itself and in time, or the dead pages are left to the interpreter, which faults
    // in
    // the right place.
    List<String> options =
        List.of(
            "-Xbatch", "-XX:CompileCommand=dontinline," + NaiveAccess.class.getName() + "::store");
    ProofJvm child = run(options, NaiveAccess.class, "200000");
    assertEquals(0, child.exitCode(), child.output());
    assertTrue(child.count("acknowledgedOnDead") > 0, child.output());
    assertTrue(child.count("escaped") > 0, child.output());
  }

  /** Why {@link Gateway} offers no such operation. */
  @ParameterizedTest
  @ValueSource(strings = {"checksum", "compareAndSet"})
  void whatTheGatewayLeavesOutEndsTheProcessOnALostPage(String operation) throws Exception {
    ProofJvm child =
        run(List.of("-Xint", "-XX:+SuppressFatalErrorMessage"), ForbiddenAccess.class, operation);
    assertTrue(child.output().contains("before"), child.output());
    assertFalse(child.output().contains("survived"), child.output());
    assertNotEquals(0, child.exitCode(), child.output());
  }

  private ProofJvm run(List<String> options, Class<?> main, String... arguments)
      throws IOException, InterruptedException, URISyntaxException {
    String classPath = placeOf(Gateway.class) + File.pathSeparator + placeOf(main);
    return ProofJvm.run(directory, options, classPath, main, arguments);
  }

  private static String placeOf(Class<?> type) throws URISyntaxException {
    var source = type.getProtectionDomain().getCodeSource();
    return Path.of(source.getLocation().toURI()).toString();
  }
}
