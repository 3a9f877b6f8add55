package dev.holdfast.crash;

import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Keeps stores that are opened thousands of times from saying a line at each. */
final class QuietOpens implements BeforeEachCallback, AfterEachCallback {
  /** Held, or what was set of it could be forgotten. */
  private static final Logger OPENS = Logger.getLogger("dev.holdfast");

  @Override
  public void beforeEach(ExtensionContext context) {
    OPENS.setLevel(Level.OFF);
  }

  @Override
  public void afterEach(ExtensionContext context) {
    OPENS.setLevel(null);
  }
}
