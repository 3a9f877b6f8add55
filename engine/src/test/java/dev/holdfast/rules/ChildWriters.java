package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.holdfast.ObservedStores;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.volume.SwitchObserver;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * The process that writes until it dies. It tells its parent through standard output: {@code b
 * WRITER NUMBER} before an operation, {@code a …} behind it, {@code s STEP} when it stops at a
 * step.
 */
final class ChildWriters {
  private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);
  private static final AtomicLong DONE = new AtomicLong();

  /** The device is gone, and its file. */
  private static final CountDownLatch REMOVED = new CountDownLatch(1);

  private ChildWriters() {}

  /**
   * Arguments: directory, seed, writers, first number; then for a fault: leg, step, halt|park|run.
   */
  public static void main(String[] args) {
    StoreBuilder builder = Store.builder(Path.of(args[0])).initialCapacity(2 << 20);
    if (args[1].equals("single")) {
      builder.single();
    }
    boolean fault = args.length > 5;
    if (fault) {
      SwitchObserver.Step wanted = SwitchObserver.Step.valueOf(args[6]);
      boolean halt = args[7].equals("halt");
      ObservedStores.observing(
          builder,
          (step, leg) -> {
            if (step == wanted) {
              awaitRemoval();
              if (halt) {
                Runtime.getRuntime().halt(9);
              }
              tell("s " + step);
              while (!args[7].equals("run")) {
                LockSupport.park(); // until the parent kills the process
              }
            }
          });
    }
    Store store = builder.open(); // never closed: this process is killed
    long seed = Long.parseLong(args[2]);
    long first = Long.parseLong(args[4]);
    for (int i = 0; i < Integer.parseInt(args[3]); i++) {
      int writer = i;
      Thread.ofPlatform().name("writer-" + i).start(() -> write(store, seed, writer, first));
    }
    if (fault) {
      EmulatedDevice device = (EmulatedDevice) store.devices().get(Integer.parseInt(args[5]));
      while (DONE.get() < 150) {
        LockSupport.parkNanos(100_000);
      }
      device.faults().notifyNever();
      device.faults().remove();
      REMOVED.countDown();
    }
  }

  /** Its pages fault before its file is gone: who meets them may be here in between. */
  private static void awaitRemoval() {
    boolean removed = false;
    while (!removed) {
      try {
        REMOVED.await();
        removed = true;
      } catch (InterruptedException e) {
        // Nobody does that here, and half a removal is none.
      }
    }
  }

  private static void write(Store store, long seed, int writer, long first) {
    for (long number = first; ; number++) {
      Workload.Op op = Workload.op(seed, writer, number);
      tell("b " + writer + " " + number);
      try {
        op.run(store);
      } catch (Throwable e) {
        tell("x " + writer + " " + number + " " + e);
        return;
      }
      tell("a " + writer + " " + number);
      DONE.incrementAndGet();
    }
  }

  /** One write a line: lines of several threads do not mix, and nothing is buffered here. */
  private static void tell(String line) {
    try {
      OUT.write((line + "\n").getBytes(US_ASCII));
    } catch (IOException e) {
      Runtime.getRuntime().halt(3); // nobody listens any more
    }
  }
}
