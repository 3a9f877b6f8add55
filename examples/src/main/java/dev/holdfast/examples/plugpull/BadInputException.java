package dev.holdfast.examples.plugpull;

/**
 * The user asked for something that cannot be done; the message is the one line to show. Ends the
 * program with exit code 2.
 */
final class BadInputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  BadInputException(String message) {
    super(message);
  }

  BadInputException(String message, Throwable cause) {
    super(message, cause);
  }
}
