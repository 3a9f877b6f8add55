package dev.holdfast.crash;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Does something with each of many things, on every processor. */
final class Workers {
  private Workers() {}

  /** Returns what was thrown, in no order. */
  static <T> List<Throwable> forEach(List<T> things, Consumer<T> action)
      throws InterruptedException {
    AtomicInteger next = new AtomicInteger();
    List<Throwable> thrown = Collections.synchronizedList(new ArrayList<>());
    Runnable work =
        () -> {
          for (int i = next.getAndIncrement(); i < things.size(); i = next.getAndIncrement()) {
            try {
              action.accept(things.get(i));
            } catch (Throwable t) {
              thrown.add(t);
            }
          }
        };
    List<Thread> threads =
        IntStream.range(0, Runtime.getRuntime().availableProcessors())
            .mapToObj(i -> Thread.ofPlatform().name("crash-" + i).start(work))
            .toList();
    for (Thread thread : threads) {
      thread.join();
    }
    return thrown;
  }
}
