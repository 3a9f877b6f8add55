package dev.holdfast;

import dev.holdfast.error.MappingRevokedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A process of its own for {@link LeaseProofTest}: two threads read leases while legs are pulled
 * out, with no word to the store, and put back; at the end both legs go. What became of the
 * accesses is printed.
 */
final class LeaseProof {
  private static final int LARGE = 16 * 4096;
  private static final int SMALL = 700;

  private final Store store;
  private final byte[] large = bytes(1, LARGE);
  private final byte[] small = bytes(2, SMALL);
  private final Lease largeLease;
  private final Lease smallLease;
  private final AtomicLong accesses = new AtomicLong();
  private final AtomicLong wrong = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final AtomicLong revoked = new AtomicLong();
  private volatile boolean allGone;
  private volatile boolean ends;

  private LeaseProof(Store store) {
    this.store = store;
    store.put(new byte[] {1}, large);
    store.put(new byte[] {2}, small);
    this.largeLease = Objects.requireNonNull(store.lease(new byte[] {1}));
    this.smallLease = Objects.requireNonNull(store.lease(new byte[] {2}));
    store.put(new byte[] {1}, small);
    boolean _ = store.remove(new byte[] {2});
  }

  private static byte[] bytes(long seed, int length) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** {@code directory warmUp rounds}: where to work, how many accesses come first. */
  public static void main(String[] arguments) throws Exception {
    long warmUp = Long.parseLong(arguments[1]);
    int rounds = Integer.parseInt(arguments[2]);
    try (Store store =
        Store.builder(Path.of(arguments[0]).resolve("s"))
            .initialCapacity(4 << 20)
            .maxCapacity(16 << 20)
            .open()) {
      new LeaseProof(store).run(warmUp, rounds);
    }
  }

  private void run(long warmUp, int rounds) throws Exception {
    Thread[] threads = new Thread[2];
    for (int t = 0; t < threads.length; t++) {
      Random random = new Random(t);
      threads[t] =
          Thread.ofPlatform()
              .start(() -> {
                while (!ends) {
                  access(random);
                }
              });
    }
    awaitAccesses(warmUp);
    for (int round = 0; round < rounds; round++) {
      pull(round % 2);
      awaitAccesses(accesses.get() + 200);
      device(round % 2).faults().notifyAfter(Duration.ZERO);
      device(round % 2).faults().reinsert();
      store.online(round % 2);
      while (store.health().state() != StoreState.ONLINE) {
        Thread.sleep(1);
      }
    }
    allGone = true; // From here on an access may be revoked.
    pull(0);
    pull(1);
    while (revoked.get() < 1_000 && failed.get() == 0) {
      Thread.sleep(1);
    }
    ends = true;
    for (Thread thread : threads) {
      thread.join();
    }
    System.out.println("accesses=" + accesses);
    System.out.println("wrong=" + wrong);
    System.out.println("failed=" + failed);
    System.out.println("revoked=" + revoked);
    System.out.println("faultsCaught=" + store.stats().faultsCaught());
  }

  private EmulatedDevice device(int leg) {
    return (EmulatedDevice) store.devices().get(leg);
  }

  /** Pulls a leg out in the middle of accesses, and tells nobody. */
  private void pull(int leg) {
    device(leg).faults().notifyNever();
    device(leg).faults().remove();
  }

  private void awaitAccesses(long count) throws InterruptedException {
    while (accesses.get() < count && failed.get() == 0) {
      Thread.sleep(1);
    }
  }

  private void access(Random random) {
    try {
      if (!isRight(random)) {
        wrong.incrementAndGet();
      }
      accesses.incrementAndGet();
    } catch (MappingRevokedException e) {
      if (!allGone) {
        tell(e);
      }
      revoked.incrementAndGet();
    } catch (Throwable e) { // An InternalError that escaped, too.
      tell(e);
    }
  }

  private void tell(Throwable e) {
    if (failed.incrementAndGet() == 1) {
      e.printStackTrace(System.out);
    }
  }

  private boolean isRight(Random random) {
    int at = random.nextInt(LARGE - 8);
    int in = random.nextInt(SMALL);
    return switch (random.nextInt(4)) {
      case 0 -> largeLease.getByte(at) == large[at];
      case 1 ->
          (byte) largeLease.getLong(at) == large[at]
              && (byte) (largeLease.getInt(at) >>> 24) == large[at + 3];
      case 2 -> smallLease.getByte(in) == small[in];
      default -> {
        byte[] some = new byte[random.nextInt(LARGE - at)];
        largeLease.copyTo(at, some, 0, some.length);
        yield Arrays.equals(some, 0, some.length, large, at, at + some.length);
      }
    };
  }
}
