package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.lang.ArchRule;
import dev.holdfast.architecture.MainClasses;
import dev.holdfast.architecture.MemorySafety;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules of memory safety, on what the benchmarks ship. */
class BenchmarksArchitectureTest {
  private static final JavaClasses CLASSES = MainClasses.imported();

  static List<ArchRule> rules() {
    return MemorySafety.rules();
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shippedClassesKeepTheRule(ArchRule rule) {
    rule.check(CLASSES);
  }

  @Test
  void rulesLookAtThisModuleAndAtNoTest() {
    assertTrue(CLASSES.containPackage("dev.holdfast.benchmarks"));
    assertTrue(CLASSES.stream().noneMatch(type -> type.getName().contains("planted")));
  }
}
