package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.lang.ArchRule;
import dev.holdfast.architecture.Layers;
import dev.holdfast.architecture.MainClasses;
import dev.holdfast.architecture.MemorySafety;
import dev.holdfast.pmem.Gateway;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules, on what the engine ships together with the device layer below it. */
class ArchitectureTest {
  private static final JavaClasses CLASSES = MainClasses.imported();

  static List<ArchRule> rules() {
    return Stream.of(MemorySafety.rules(), Layers.rules()).flatMap(List::stream).toList();
  }

  /** Their planted violations need libraries that only this module has. */
  static List<ArchRule> rulesOnLibraries() {
    return List.of(
        MemorySafety.NO_POINTER_BYTES_STORE,
        Layers.ONLY_HEALTH_AND_ASYNC_KNOW_THE_DISRUPTOR,
        Layers.ONLY_CODEC_KNOWS_CHRONICLE,
        Layers.ONLY_METRICS_KNOWS_MICROMETER);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shippedClassesKeepTheRule(ArchRule rule) {
    rule.check(CLASSES);
  }

  @ParameterizedTest
  @MethodSource("rulesOnLibraries")
  void ruleFindsWhatWasPlanted(ArchRule rule) {
    JavaClasses planted =
        new ClassFileImporter().importPackages("dev.holdfast.architecture.engine");
    List<String> found = rule.evaluate(planted).getFailureReport().getDetails();
    assertTrue(found.stream().anyMatch(line -> line.contains("PlantedLibraries")), rule::toString);
  }

  @Test
  void rulesLookAtBothModulesAndAtNoTest() {
    assertTrue(CLASSES.contain(Store.class) && CLASSES.contain(Gateway.class));
    assertTrue(CLASSES.stream().noneMatch(type -> type.getName().contains("lanted")));
  }
}
