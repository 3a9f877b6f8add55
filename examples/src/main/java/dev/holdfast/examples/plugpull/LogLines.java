package dev.holdfast.examples.plugpull;

import java.util.Locale;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * What the store logs, a line each, in the same words in every process of a run.
 *
 * <p><b>Threads:</b> any.
 */
final class LogLines extends Handler {
  /** Held, because a logger that nobody holds forgets its level. */
  private static final Logger CHRONICLE = Logger.getLogger("net.openhft");

  private final Consumer<String> lines;

  private LogLines(Consumer<String> lines) {
    this.lines = lines;
  }

  /** From now on, all that is logged in this process goes to {@code lines} and nowhere else. */
  static void passTo(Consumer<String> lines) {
    LogManager.getLogManager().reset();
    // It warns that mapping files its own way needs more flags; mapping is the store's.
    CHRONICLE.setLevel(Level.SEVERE);
    Logger.getLogger("").addHandler(new LogLines(lines));
  }

  @Override
  public void publish(LogRecord entry) {
    if (entry.getLevel().intValue() >= Level.INFO.intValue()) {
      String level = entry.getLevel().getName().toLowerCase(Locale.ROOT);
      lines.accept("  log " + level + ": " + entry.getMessage());
    }
  }

  @Override
  public void flush() {}

  @Override
  public void close() {}
}
