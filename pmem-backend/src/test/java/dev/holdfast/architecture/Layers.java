package dev.holdfast.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.util.List;

/** Which package may know which. */
public final class Layers {
  /** The device layer defines the holder interface, and knows nobody who implements it. */
  public static final ArchRule DEVICE_LAYER_STANDS_ALONE =
      classes()
          .that()
          .resideInAnyPackage("dev.holdfast.pmem..", "dev.holdfast.error..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(
              "java..",
              "jdk.nio.mapmode..",
              "org.jspecify..",
              "dev.holdfast.pmem..",
              "dev.holdfast.error..")
          .because("calls go down, failures come up through DeviceHolder");

  /** The errors are known to all and know nothing. */
  public static final ArchRule ERRORS_KNOW_NOTHING =
      classes()
          .that()
          .resideInAPackage("dev.holdfast.error..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage("java..", "org.jspecify..", "dev.holdfast.error..");

  /** Every package is a slice of its own, the one with the API included. */
  public static final ArchRule PACKAGES_FORM_NO_CYCLE =
      slices().assignedFrom(new ByPackage()).should().beFreeOfCycles();

  /**
   * Rings are for who hands something to a thread of his own: news of faults, and writes that
   * nobody waits for. On the path of an operation that somebody waits for there is none: it would
   * wait for another thread.
   */
  public static final ArchRule ONLY_HEALTH_AND_ASYNC_KNOW_THE_DISRUPTOR =
      noClasses()
          .that()
          .resideOutsideOfPackages("dev.holdfast.health.pipeline..", "dev.holdfast.async..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("com.lmax..");

  /** Chronicle's types come and go through one door. */
  public static final ArchRule ONLY_CODEC_KNOWS_CHRONICLE =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.holdfast.codec.chronicle..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("net.openhft..");

  /** Who wants no meters has no Micrometer: nothing else may need it. */
  public static final ArchRule ONLY_METRICS_KNOWS_MICROMETER =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.holdfast.metrics..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("io.micrometer..");

  private Layers() {}

  /** All rules of this class. */
  public static List<ArchRule> rules() {
    return List.of(
        DEVICE_LAYER_STANDS_ALONE,
        ERRORS_KNOW_NOTHING,
        PACKAGES_FORM_NO_CYCLE,
        ONLY_HEALTH_AND_ASYNC_KNOW_THE_DISRUPTOR,
        ONLY_CODEC_KNOWS_CHRONICLE,
        ONLY_METRICS_KNOWS_MICROMETER);
  }

  private static final class ByPackage implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      return type.getPackageName().startsWith("dev.holdfast")
          ? SliceIdentifier.of(type.getPackageName())
          : SliceIdentifier.ignore();
    }

    @Override
    public String getDescription() {
      return "packages";
    }
  }
}
