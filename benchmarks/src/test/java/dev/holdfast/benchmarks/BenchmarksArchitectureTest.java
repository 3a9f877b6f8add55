package dev.holdfast.benchmarks;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.simpleName;
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
    // What an access costs without a barrier can only be measured without one.
    rule.check(
        rule.equals(MemorySafety.BARRIER_BEHIND_EVERY_ACCESS)
            ? CLASSES.that(not(simpleName("BarrierBenchmark")))
            : CLASSES);
  }

  @Test
  void rulesLookAtThisModuleAndAtNoTest() {
    assertTrue(CLASSES.containPackage("dev.holdfast.benchmarks"));
    assertTrue(CLASSES.stream().noneMatch(type -> type.getName().contains("planted")));
  }
}
