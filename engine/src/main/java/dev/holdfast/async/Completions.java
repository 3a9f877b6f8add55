package dev.holdfast.async;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Completes futures, each on a virtual thread of its own: actions that hang on one run there, and
 * may block or throw, without the thread that stores taking notice, or any other future.
 */
final class Completions {
  private Completions() {}

  /**
   * Completes entries.
   *
   * @param failure what all of them failed by; null if they are done
   */
  static void complete(List<Entry<?>> entries, @Nullable Throwable failure) {
    if (entries.size() == 1) {
      complete(entries.getFirst(), failure);
    } else if (!entries.isEmpty()) {
      // The threads are made by one of them: the thread that stores goes on.
      run(() -> entries.forEach(each -> complete(each, failure)));
    }
  }

  static void complete(Entry<?> entry, @Nullable Throwable failure) {
    run(() -> entry.complete(failure));
  }

  private static void run(Runnable body) {
    try {
      Thread _ = Thread.startVirtualThread(body);
    } catch (OutOfMemoryError e) {
      body.run(); // Here rather than never.
    }
  }
}
