package dev.holdfast.health.pipeline;

import static dev.holdfast.health.pipeline.Eventually.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.pmem.FaultKind;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class HealthPipelineStressTest {
  private static final int PRODUCERS = 8;

  private final long seed = Long.getLong("seed", System.nanoTime());
  private final RecordingResponder responder = new RecordingResponder();

  /** Runs producers side by side, each with random numbers of its own. */
  private void produce(Producer producer) throws Exception {
    System.out.println("HealthPipelineStressTest -Dseed=" + seed);
    var start = new CountDownLatch(1);
    try (var executor = Executors.newFixedThreadPool(PRODUCERS)) {
      List<Future<?>> futures = new ArrayList<>();
      for (int n = 0; n < PRODUCERS; n++) {
        int index = n;
        futures.add(
            executor.submit(() -> {
              start.await();
              producer.run(index, new Random(seed + index));
              return null;
            }));
      }
      start.countDown();
      for (Future<?> future : futures) {
        future.get();
      }
    }
  }

  private interface Producer {
    void run(int index, Random random);
  }

  @Test
  void manyProducersLoseNothingBelowTheCapacity() throws Exception {
    int each = 16;
    List<FaultKind> kinds = List.of(FaultKind.values());
    Set<RecordingResponder.Call> reported = ConcurrentHashMap.newKeySet();
    List<HealthEvent> heard = new CopyOnWriteArrayList<>();
    try (var pipeline = new HealthPipeline("stress", 256, responder, Duration.ofHours(1))) {
      pipeline.addListener(heard::add);
      produce((index, random) -> {
        for (int n = 0; n < each; n++) {
          // No two touch, so that each must come through as it is.
          long offset = (index * 1000L + n) * 10;
          int leg = random.nextInt(3);
          int length = 1 + random.nextInt(9);
          var kind = kinds.get(random.nextInt(kinds.size()));
          assertTrue(pipeline.report(leg, kind, offset, length), "-Dseed=" + seed);
          reported.add(new RecordingResponder.Call(leg, kind, offset, length));
          if (random.nextInt(4) == 0) {
            LockSupport.parkNanos(1);
          }
          pipeline.publish(Kind.STATE_CHANGED, index, n, 0, "n", n);
        }
      });
      // 2 × 8 × 16 = 256: what the ring holds, and the listener's queue, if neither is emptied.
      await().until(() -> responder.calls.size() == PRODUCERS * each);
      assertEquals(0, pipeline.lost());
    }
    assertEquals(reported, new HashSet<>(responder.calls), "-Dseed=" + seed);
    assertEquals(
        LongStream.rangeClosed(1, 2L * PRODUCERS * each).boxed().toList(),
        heard.stream().map(HealthEvent::sequence).toList(),
        "-Dseed=" + seed);
    for (int producer = 0; producer < PRODUCERS; producer++) {
      int index = producer;
      assertEquals(
          LongStream.range(0, each).boxed().toList(),
          heard.stream()
              .filter(event -> event.kind() == Kind.STATE_CHANGED && event.leg() == index)
              .map(HealthEvent::offset)
              .toList(),
          "-Dseed=" + seed);
    }
  }

  @Test
  void whatWasTakenIsActedOnOnceAndWhatWasNotIsCountedUnderOverload() throws Exception {
    int each = 20_000;
    Set<Long> taken = ConcurrentHashMap.newKeySet();
    Set<Long> acted = ConcurrentHashMap.newKeySet();
    List<Long> actedTwice = new CopyOnWriteArrayList<>();
    var lostTold = new ConcurrentHashMap<Long, String>();
    var overloaded =
        new Responder() {
          @Override
          public void respond(int leg, FaultKind kind, long offset, long length) {
            if (length != 1 || !acted.add(offset)) {
              actedTwice.add(offset);
            }
          }

          @Override
          public void rescan() {
            responder.rescan();
          }
        };
    long lost;
    try (var pipeline = new HealthPipeline("overload", 16, overloaded, Duration.ofHours(1))) {
      pipeline.addListener(event -> {
        if (event.kind() == Kind.LOST) {
          lostTold.put(event.sequence(), event.detail());
        }
      });
      produce((index, random) -> {
        for (int n = 0; n < each; n++) {
          long offset = (index * 1_000_000L + n) * 10;
          if (pipeline.report(random.nextInt(3), FaultKind.POISON, offset, 1)) {
            taken.add(offset);
          }
        }
      });
      await().until(() -> acted.size() >= taken.size());
      lost = pipeline.lost();
      assertTrue(lost > 0, "the ring was never full");
      await().until(() -> !lostTold.isEmpty() && responder.rescans.get() > 0);
    }
    assertEquals(taken, acted, "-Dseed=" + seed);
    assertEquals(List.of(), actedTwice, "-Dseed=" + seed);
    assertEquals((long) PRODUCERS * each, taken.size() + lost, "-Dseed=" + seed);
  }
}
