package dev.holdfast.volume;

/**
 * What lies on each leg twice, so that a leg can be repaired from itself.
 *
 * <p><b>Threads:</b> any.
 */
public interface SecondCopies {
  /** Nothing does. */
  SecondCopies NONE =
      new SecondCopies() {
        @Override
        public long of(long offset) {
          return -1;
        }

        @Override
        public void whileNobodyStores(Runnable body) {
          body.run();
        }
      };

  /** Where the page that begins at {@code offset} lies once more; -1 if it does not. */
  long of(long offset);

  /** Runs something while nobody is between the stores to the two. */
  void whileNobodyStores(Runnable body);
}
