package dev.holdfast.architecture;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;

/** What a module ships, together with what it depends on of ours. */
public final class MainClasses {
  private MainClasses() {}

  /** All classes of Holdfast on the class path but those of tests. */
  public static JavaClasses imported() {
    return new ClassFileImporter()
        .withImportOption(new ImportOption.DoNotIncludeTests())
        .withImportOption(location -> !location.contains("-tests.jar"))
        .importPackages("dev.holdfast");
  }
}
