package dev.holdfast.architecture;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every rule finds the violation that was planted for it. */
class RuleSelfTest {
  private static final JavaClasses PLANTED =
      new ClassFileImporter()
          .importPackages(
              "dev.holdfast.architecture.planted", "dev.holdfast.pmem", "dev.holdfast.error");

  /** Which rule, what breaks it, and a word of the complaint. */
  static Stream<Arguments> planted() {
    return Stream.of(
        Arguments.of(MemorySafety.NO_REINTERPRET, "Reinterprets.all"),
        Arguments.of(MemorySafety.NO_REINTERPRET, "ReinterpretsByReference.all"),
        Arguments.of(MemorySafety.NO_SEGMENT_FROM_ADDRESS, "MakesSegment.at"),
        Arguments.of(MemorySafety.NO_SEGMENT_FROM_ADDRESS, "MakesSegmentByReference.maker"),
        Arguments.of(MemorySafety.NO_SEGMENT_FROM_ADDRESS, "MakesSegmentByLayout.layout"),
        Arguments.of(MemorySafety.NO_MAPPED_FILES, "MapsFile.map"),
        Arguments.of(MemorySafety.NO_MAPPED_FILES, "HoldsMappedBuffer.at"),
        Arguments.of(MemorySafety.NO_NATIVE_CALLS, "CallsNatively.call"),
        Arguments.of(MemorySafety.NO_WINDOW_ADDRESS, "ReadsAnAddress.address"),
        Arguments.of(MemorySafety.NO_SEGMENT_HANDED_OUT, "planted.Gateway.segment"),
        Arguments.of(MemorySafety.NO_COMPARE_AND_SET_ON_SEGMENTS, "planted.Gateway.compareAndSet("),
        Arguments.of(
            MemorySafety.NO_COMPARE_AND_SET_IN_GATEWAY, "planted.Gateway.compareAndSetField"),
        Arguments.of(MemorySafety.NO_CHECKSUM_IN_GATEWAY, "planted.Gateway.checksum"),
        Arguments.of(MemorySafety.NO_MISMATCH_OR_FORCE, "planted.Gateway.mismatch"),
        Arguments.of(MemorySafety.NO_MISMATCH_OR_FORCE, "planted.Gateway.force"),
        Arguments.of(MemorySafety.NO_SEGMENT_OVER_EVERYTHING, "ReachesEverything.everything"),
        Arguments.of(MemorySafety.BARRIER_BEHIND_EVERY_ACCESS, "LoadsWithoutBarrier.load"),
        Arguments.of(Layers.DEVICE_LAYER_STANDS_ALONE, "KnowsAnUpperLayer"),
        Arguments.of(Layers.ERRORS_KNOW_NOTHING, "KnowsDevices"),
        Arguments.of(Layers.PACKAGES_FORM_NO_CYCLE, "planted.left"));
  }

  /** Their planted violations need libraries that only the engine has. */
  private static final List<ArchRule> TESTED_IN_ENGINE =
      List.of(
          MemorySafety.NO_POINTER_BYTES_STORE,
          Layers.ONLY_HEALTH_AND_ASYNC_KNOW_THE_DISRUPTOR,
          Layers.ONLY_CODEC_KNOWS_CHRONICLE,
          Layers.ONLY_METRICS_KNOWS_MICROMETER);

  @ParameterizedTest
  @MethodSource("planted")
  void ruleFindsWhatWasPlanted(ArchRule rule, String place) {
    List<String> found = rule.evaluate(PLANTED).getFailureReport().getDetails();
    assertTrue(
        found.stream().anyMatch(line -> line.contains(place.replace("Planted.", "Planted$"))),
        () -> "expected " + place + ", found " + found);
  }

  /** Bytecode without a source: the compiler warns of every use, and warnings are errors here. */
  @ParameterizedTest
  @ValueSource(strings = {"sun.misc.Unsafe", "jdk.internal.misc.Unsafe"})
  void useOfUnsafeIsFound(String unsafe, @TempDir Path directory) throws IOException {
    ClassDesc type = ClassDesc.of(unsafe);
    byte[] planted =
        ClassFile.of()
            .build(
                ClassDesc.of("dev.holdfast.planted.UsesUnsafe"),
                builder ->
                    builder.withMethodBody(
                        "pages",
                        MethodTypeDesc.of(ConstantDescs.CD_int, type),
                        ClassFile.ACC_STATIC,
                        code ->
                            code.aload(0)
                                .invokevirtual(
                                    type, "pageSize", MethodTypeDesc.of(ConstantDescs.CD_int))
                                .ireturn()));
    Files.write(directory.resolve("UsesUnsafe.class"), planted);
    JavaClasses classes = new ClassFileImporter().importPath(directory);
    List<String> found = MemorySafety.NO_UNSAFE.evaluate(classes).getFailureReport().getDetails();
    assertTrue(found.stream().anyMatch(line -> line.contains("UsesUnsafe.pages")), found::toString);
  }

  @Test
  void noRuleIsWithoutItsPlantedViolation() {
    Set<Object> tested = new HashSet<>(TESTED_IN_ENGINE);
    tested.add(MemorySafety.NO_UNSAFE);
    planted().forEach(row -> tested.add(row.get()[0]));
    assertTrue(tested.containsAll(MemorySafety.rules()));
    assertTrue(tested.containsAll(Layers.rules()));
  }
}
