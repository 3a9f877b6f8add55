package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.lang.ArchRule;
import dev.holdfast.architecture.Layers;
import dev.holdfast.architecture.MainClasses;
import dev.holdfast.architecture.MemorySafety;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The rules, on what this module ships. */
class PmemArchitectureTest {
  private static final JavaClasses CLASSES = MainClasses.imported();

  static List<ArchRule> rules() {
    return Stream.of(MemorySafety.rules(), Layers.rules()).flatMap(List::stream).toList();
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shippedClassesKeepTheRule(ArchRule rule) {
    rule.check(CLASSES);
  }

  @Test
  void rulesLookAtTheClassesTheyAreMeantFor() {
    assertTrue(CLASSES.contain(Gateway.class) && CLASSES.contain(Posix.class));
    assertTrue(CLASSES.stream().noneMatch(type -> type.getName().contains("planted")));
  }
}
