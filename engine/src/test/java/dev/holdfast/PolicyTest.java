package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.leg;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Role;
import dev.holdfast.policy.Subject;
import dev.holdfast.policy.Topology;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.VolumeNews;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Policies of users, and errors that come too often. */
final class PolicyTest {
  private static final int KEYS = 300;

  private static final List<Verdict> VERDICTS =
      List.of(
          new Verdict.FailOver(),
          new Verdict.Repair(),
          new Verdict.NameLost(),
          new Verdict.GoOffline(),
          new Verdict.ReadOnly(),
          new Verdict.Fail(),
          new Verdict.Evacuate(),
          new Verdict.RefuseRemoval(),
          new Verdict.Detach(),
          new Verdict.RehomeLog(),
          new Verdict.Resilver(),
          new Verdict.Reconcile(),
          new Verdict.Watch(),
          new Verdict.Ignore());

  @TempDir Path directory;

  private StoreBuilder store() {
    return Store.builder(directory.resolve("s")).initialCapacity(4 << 20);
  }

  static IntStream verdicts() {
    return IntStream.range(0, VERDICTS.size());
  }

  /** Whatever a policy says, nothing is lost that the other leg holds, and nothing is wrong. */
  @ParameterizedTest
  @MethodSource("verdicts")
  void noVerdictCostsAMirrorAnAcknowledgedWrite(int number) {
    Verdict verdict = VERDICTS.get(number);
    AtomicInteger asked = new AtomicInteger();
    int acknowledged = KEYS;
    try (Store store =
        store()
            .policy((topology, subject, fault) -> {
              asked.incrementAndGet();
              return verdict;
            })
            .open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(recordOf(store, key(7)).offset(), 3L * TestStores.PAGE);
      await().until(() -> asked.get() > 0);
      for (int i = 0; i < KEYS; i++) {
        try {
          assertArrayEquals(value(i), store.get(key(i)), "key " + i);
          store.put(key(acknowledged), value(acknowledged));
          acknowledged++;
        } catch (HoldfastException e) {
          assertFalse(e instanceof DataLostException, () -> verdict + ": " + e);
        }
      }
    }
    try (Store store = store().open()) {
      assertHolds(store, 0, acknowledged);
      TestStores.awaitRepaired(store);
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, acknowledged);
    }
  }

  @ParameterizedTest
  @MethodSource("verdicts")
  void noVerdictMakesASingleLegForgetOrInvent(int number) {
    Verdict verdict = VERDICTS.get(number);
    AtomicInteger asked = new AtomicInteger();
    try (Store store =
        store()
            .single()
            .policy((topology, subject, fault) -> {
              asked.incrementAndGet();
              return verdict;
            })
            .open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(recordOf(store, key(7)).offset(), 1);
      await().until(() -> asked.get() > 0);
      assertRightOrTyped(store);
    }
    try (Store store = store().open()) {
      assertRightOrTyped(store);
    }
  }

  private static void assertRightOrTyped(Store store) {
    for (int i = 0; i < KEYS; i++) {
      try {
        byte[] found = store.get(key(i));
        assertNotNull(found, "taken for absent: key " + i);
        assertArrayEquals(value(i), found);
      } catch (HoldfastException e) {
        assertNotNull(e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"throws", "error", "null", "hangs", "impossible"})
  void wherePoliciesFailTheStandardOneDecides(String how) {
    CountDownLatch never = new CountDownLatch(1);
    FailurePolicy policy =
        (topology, subject, fault) ->
            switch (how) {
              case "throws" -> throw new IllegalStateException("a policy that throws");
              case "error" -> throw new StackOverflowError();
              case "hangs" -> {
                try {
                  never.await();
                } catch (InterruptedException e) {
                  throw new IllegalStateException(e);
                }
                yield new Verdict.Fail();
              }
              case "impossible" -> new Verdict.RehomeLog();
              default -> nothing();
            };
    List<HealthEvent> news = new CopyOnWriteArrayList<>();
    try (Store store = store().policy(policy).listener(news::add).open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().poison(recordOf(store, key(7)).offset(), 1);
      TestStores.awaitRepaired(store);
      String why =
          switch (how) {
            case "throws" -> "a policy that throws";
            case "error" -> "StackOverflowError";
            case "hangs" -> "did not decide within 200 ms";
            case "impossible" -> "cannot be done: RehomeLog";
            default -> "decided nothing";
          };
      await()
          .until(() ->
              news.stream()
                  .anyMatch(event ->
                      event.kind() == HealthEvent.Kind.POLICY_OVERRULED
                          && event.leg() == 0
                          && event.detail().contains(why)));
      awaitState(store, StoreState.ONLINE);
      leg(store, 1).faults().remove();
      assertHolds(store, 0, KEYS);
      leg(store, 1).faults().reinsert();
      awaitState(store, StoreState.ONLINE);
    }
  }

  /** A thread that has answered is there for a moment: the next fault is not decided without it. */
  @Test
  void aPolicyThatDecidesIsNeverOverruled() {
    AtomicInteger asked = new AtomicInteger();
    AtomicInteger overruled = new AtomicInteger();
    VolumeNews news =
        new VolumeNews() {
          @Override
          public void publish(
              HealthEvent.Kind kind, int leg, long offset, long length, String what, long at) {
            overruled.incrementAndGet();
          }

          @Override
          public void report(int leg, FaultKind kind, long offset, long length) {}
        };
    FailurePolicy watches =
        (topology, subject, fault) -> {
          asked.incrementAndGet();
          return new Verdict.Watch();
        };
    PolicyCourt court = new PolicyCourt(watches, Duration.ofMinutes(1), news);
    Subject subject = new Subject(Role.DATA, Subject.Content.VALUE);
    for (int i = 0; i < 2_000; i++) {
      assertEquals(
          new Verdict.Watch(), court.decide(0, new Topology.Single(), subject, FaultKind.POISON));
    }
    assertEquals(2_000, asked.get());
    assertEquals(0, overruled.get());
  }

  /** Not even an interrupt ends it: no thread is begun for each fault that it leaves undecided. */
  @Test
  void aPolicyThatNeverDecidesIsAskedOnce() {
    CountDownLatch never = new CountDownLatch(1);
    AtomicInteger asked = new AtomicInteger();
    FailurePolicy policy =
        (topology, subject, fault) -> {
          asked.incrementAndGet();
          while (never.getCount() > 0) {
            try {
              never.await();
            } catch (InterruptedException e) {
              // It has not decided yet.
            }
          }
          return new Verdict.Fail();
        };
    try (Store store = store().policy(policy).open()) {
      fill(store, 0, KEYS);
      for (int i = 0; i < 5; i++) {
        leg(store, 0).faults().poison((3 << 20) + i * 8192L, 1);
        TestStores.awaitRepaired(store);
      }
      assertEquals(1, asked.get());
      assertHolds(store, 0, KEYS);
      // Once it has, it is asked again; what it said too late means nothing.
      never.countDown();
      awaitState(store, StoreState.ONLINE);
    } finally {
      never.countDown();
    }
  }

  @SuppressWarnings("NullAway") // what a careless user returns
  private static Verdict nothing() {
    return null;
  }

  /** Makes one error that is survived, and waits until it was. */
  private static void error(Store store, int leg, FaultKind kind) {
    StoreExtent record = recordOf(store, key(7));
    switch (kind) {
      case POISON -> {
        leg(store, leg).faults().poison(record.offset(), 1);
        TestStores.awaitRepaired(store);
      }
      default -> {
        leg(store, leg).faults().flipBit(record.offset() + 50, 1);
        await()
            .until(() -> {
              assertArrayEquals(value(7), store.get(key(7)));
              byte[] a = new byte[60];
              byte[] b = new byte[60];
              leg(store, 0).read(record.offset(), a, 0, 60);
              leg(store, 1).read(record.offset(), b, 0, 60);
              return java.util.Arrays.equals(a, b);
            });
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"POISON, 0", "CHECKSUM, 0"})
  void aLegWithTooManyErrorsIsGivenUpAndTheLastGoodCopyNever(FaultKind kind, int leg) {
    AtomicLong now = new AtomicLong(1);
    StoreBuilder builder = store();
    builder.clock = now::get;
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
      for (int i = 0; i < 9; i++) {
        error(store, leg, kind);
        error(store, leg, kind); // the same incident
        now.addAndGet(Duration.ofSeconds(30).toNanos());
      }
      awaitState(store, StoreState.ONLINE);
      error(store, leg, kind);
      await().until(() -> store.health().legs().get(leg).state() == LegState.FAULTED);
      assertHolds(store, 0, KEYS);
      fill(store, KEYS, 2 * KEYS);
      assertEquals(StoreState.DEGRADED, store.health().state());
      store.online(leg);
      assertEquals(StoreState.ONLINE, store.health().state());
      // Forgotten: it takes as many again. (Wrong bytes on a leg that reads do not prefer, as this
      // one now, are not met by a read.)
      now.addAndGet(Duration.ofSeconds(30).toNanos());
      if (kind == FaultKind.POISON) {
        error(store, leg, kind);
      }
      awaitState(store, StoreState.ONLINE);
      leg(store, 1 - leg).faults().remove();
      assertHolds(store, 0, 2 * KEYS);
    }
  }

  @Test
  void theLastGoodCopyIsNotGivenUpForErrors() {
    AtomicLong now = new AtomicLong(1);
    StoreBuilder builder = store();
    builder.clock = now::get;
    try (Store store = builder.open()) {
      fill(store, 0, KEYS);
      leg(store, 0).faults().remove();
      for (int i = 0; i < 15; i++) {
        leg(store, 1).faults().poison((3 << 20) + i * 8192L, 1);
        TestStores.awaitRepaired(store);
        now.addAndGet(Duration.ofSeconds(5).toNanos());
      }
      assertEquals(LegState.ONLINE, store.health().legs().get(1).state());
      assertHolds(store, 0, KEYS);
      store.put(key(1), value(1));
    }
  }
}
