package dev.holdfast;

/**
 * Ends the threads of a test: by {@link #set}, or when the test ends, by an error too. Declared
 * behind the executor whose threads look at it, it is set before that waits for them.
 */
final class StopFlag implements AutoCloseable {
  private volatile boolean stopped;

  boolean get() {
    return stopped;
  }

  void set() {
    stopped = true;
  }

  @Override
  public void close() {
    set();
  }
}
