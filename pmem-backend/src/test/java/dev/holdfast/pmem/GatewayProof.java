package dev.holdfast.pmem;

import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The child process of {@link GatewayProofTest}: loads, stores, copies and fills a device until
 * they are warm, has pages poisoned and the device removed under them, and goes on on dead pages.
 * Every worker keeps its own ledger of what was acknowledged, which is compared with what it loads
 * and, at the end, with the bytes in the removed file.
 *
 * <p>Arguments: a directory, a seed, the number of operations to warm up with. Prints one {@code
 * name=count} a line.
 */
final class GatewayProof {
  private static final int WORKERS = 2;
  private static final int PAGE = FaultInjector.pageSize();

  /** What one slot holds: a range of the device that is always written whole. */
  private enum Shape {
    WORD(8),
    RELEASED_WORD(8),
    SMALL_COPY(24),
    PAGE_COPY(4 << 10),
    LARGE_COPY(16 << 10),
    FILL(3000);

    private final int length;

    Shape(int length) {
      this.length = length;
    }
  }

  /** One range of the device, and what the ledger says of it. */
  private static final class Slot {
    private final Shape shape;
    private final long offset;

    /** Stores carry rising numbers, so that a lost one shows as a number that is too low. */
    private long acknowledged;

    private long attempted;

    /** Set before a worker looks at it, once poison has struck; its bytes are gone then. */
    private volatile boolean poisoned;

    private Slot(Shape shape, long offset) {
      this.shape = shape;
      this.offset = offset;
    }

    private boolean holds(long number) {
      return number >= acknowledged && number <= attempted;
    }
  }

  /*
   * The first fault in a compiled method throws the compiled code away, because the handler was never
   * reached before. So there must be enough faults, and good accesses between them, for the compiler
   * to come back before the device is removed.
   */
  static long poisonedAccesses(long warmUp) {
    return warmUp / 20;
  }

  static long deadAccesses(long warmUp) {
    return Math.max(500, warmUp / 100);
  }

  private final Window window;
  private final long toDie;
  private final List<Slot> slots = new ArrayList<>();
  private final Random random;
  private final byte[] buffer = new byte[Shape.LARGE_COPY.length];
  private final ByteBuffer words = ByteBuffer.wrap(buffer).order(ByteOrder.LITTLE_ENDIAN);

  private volatile long operations;
  private final AtomicLong poisonedAccesses = new AtomicLong();
  private final AtomicLong deadAccesses = new AtomicLong();
  private long caught;
  private long acknowledgedOnDead;
  private long wrong;
  private long escaped;

  private static volatile boolean removed;

  private GatewayProof(Window window, long base, long seed, long toDie) {
    this.window = window;
    this.toDie = toDie;
    this.random = new Random(seed);
    long offset = base;
    for (Shape shape : Shape.values()) {
      int pages = Math.ceilDiv(shape.length, PAGE);
      for (int i = 0; i < 8; i++) {
        slots.add(new Slot(shape, offset));
        offset += (long) pages * PAGE;
      }
    }
  }

  private static long bytesEach() {
    long bytes = 0;
    for (Shape shape : Shape.values()) {
      bytes += 8L * Math.ceilDiv(shape.length, PAGE) * PAGE;
    }
    return bytes;
  }

  public static void main(String[] args) throws Exception {
    Path file = Path.of(args[0]).resolve("device");
    long seed = Long.parseLong(args[1]);
    long warmUp = Long.parseLong(args[2]);
    boolean done = false;
    try (EmulatedDevice device =
        EmulatedDevice.create(file, WORKERS * bytesEach(), PersistenceMode.PROCESS)) {
      Window window = device.map();
      List<GatewayProof> workers = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
      for (int i = 0; i < WORKERS; i++) {
        GatewayProof worker =
            new GatewayProof(window, i * bytesEach(), seed + i, deadAccesses(warmUp));
        workers.add(worker);
        threads.add(
            Thread.ofPlatform()
                .start(() -> {
                  try {
                    worker.work();
                  } catch (Throwable t) {
                    failure.compareAndSet(null, t);
                  }
                }));
      }
      for (GatewayProof worker : workers) {
        awaitAtLeast(() -> worker.operations, warmUp, failure);
      }
      for (GatewayProof worker : workers) {
        for (int i = 0; i < worker.slots.size(); i += 3) {
          Slot slot = worker.slots.get(i);
          // The last byte: of a large copy, the first pages still work.
          device.faults().poison(slot.offset + slot.shape.length - 1, 1);
          slot.poisoned = true;
        }
      }
      for (GatewayProof worker : workers) {
        awaitAtLeast(() -> worker.poisonedAccesses.get(), poisonedAccesses(warmUp), failure);
      }
      device.faults().remove();
      removed = true;
      for (GatewayProof worker : workers) {
        awaitAtLeast(() -> worker.deadAccesses.get(), deadAccesses(warmUp), failure);
      }
      for (Thread thread : threads) {
        thread.join();
      }
      report(workers, EmulatedDevice.removedFile(file), failure.get());
      done = failure.get() == null;
      window.close();
    }
    System.exit(done ? 0 : 3);
  }

  /**
   * Waits on a count of the workers; there is no event to wait for, and they must not slow down.
   */
  private static void awaitAtLeast(LongSupplier count, long atLeast, AtomicReference<?> failure) {
    while (count.getAsLong() < atLeast && failure.get() == null) {
      LockSupport.parkNanos(200_000);
    }
  }

  private static void report(List<GatewayProof> workers, Path file, @Nullable Throwable failure)
      throws Exception {
    if (failure != null) {
      failure.printStackTrace();
    }
    long wrongInFile = 0;
    try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) {
      for (GatewayProof worker : workers) {
        wrongInFile += worker.wrongIn(in);
      }
    }
    print("operations", workers.stream().mapToLong(w -> w.operations).sum());
    print("caught", workers.stream().mapToLong(w -> w.caught).sum());
    print("poisonedAccesses", workers.stream().mapToLong(w -> w.poisonedAccesses.get()).sum());
    print("deadAccesses", workers.stream().mapToLong(w -> w.deadAccesses.get()).sum());
    print("acknowledgedOnDead", workers.stream().mapToLong(w -> w.acknowledgedOnDead).sum());
    print("wrongLoads", workers.stream().mapToLong(w -> w.wrong).sum());
    print("escaped", workers.stream().mapToLong(w -> w.escaped).sum());
    print("wrongInFile", wrongInFile);
  }

  private static void print(String name, long count) {
    System.out.println(name + "=" + count);
  }

  private void work() {
    for (long n = 1; deadAccesses.get() < toDie; n++) {
      Slot slot = slots.get(random.nextInt(slots.size()));
      // Looked at before the access: only what began on a dead page counts as that.
      boolean gone = removed;
      boolean poisoned = slot.poisoned;
      boolean acknowledged = false;
      try {
        acknowledged = random.nextBoolean() ? store(slot) : load(slot, poisoned);
        // Whatever is still pending belonged into the try of the operation.
        Gateway.barrier();
      } catch (InternalError e) {
        escaped++;
      }
      if (gone) {
        deadAccesses.incrementAndGet();
      } else if (poisoned) {
        poisonedAccesses.incrementAndGet();
      }
      if (acknowledged && (gone || poisoned)) {
        acknowledgedOnDead++;
      }
      operations = n;
    }
  }

  private boolean store(Slot slot) {
    long number = ++slot.attempted;
    if (slot.shape != Shape.FILL) {
      for (int at = 0; at < slot.shape.length; at += Long.BYTES) {
        words.putLong(at, number);
      }
    }
    boolean acknowledged =
        switch (slot.shape) {
          case WORD -> storeWord(slot.offset, number);
          case RELEASED_WORD -> releaseWord(slot.offset, number);
          case FILL -> fill(slot.offset, slot.shape.length, (byte) number);
          case SMALL_COPY, PAGE_COPY, LARGE_COPY -> copyIn(slot.offset, slot.shape.length);
        };
    if (acknowledged) {
      slot.acknowledged = number;
    }
    return acknowledged;
  }

  private boolean load(Slot slot, boolean poisoned) {
    boolean acknowledged =
        switch (slot.shape) {
          case WORD, RELEASED_WORD -> loadWord(slot.offset);
          case SMALL_COPY, PAGE_COPY, LARGE_COPY, FILL -> copyOut(slot.offset, slot.shape.length);
        };
    // Poison that strikes between the look at the flag and the load has spoilt nothing yet that a
    // load could see, because the page faults before its bytes change.
    if (acknowledged && !poisoned) {
      wrong += isRight(slot) ? 0 : 1;
    }
    return acknowledged;
  }

  private boolean isRight(Slot slot) {
    if (slot.shape == Shape.FILL) {
      // One byte cannot carry the number: compare where there is just one that it can be.
      if (slot.acknowledged != slot.attempted) {
        return true;
      }
      for (int at = 0; at < slot.shape.length; at++) {
        if (buffer[at] != (byte) slot.acknowledged) {
          return false;
        }
      }
      return true;
    }
    for (int at = 0; at < slot.shape.length; at += Long.BYTES) {
      if (!slot.holds(words.getLong(at))) {
        return false;
      }
    }
    return true;
  }

  private long wrongIn(RandomAccessFile file) throws Exception {
    long found = 0;
    for (Slot slot : slots) {
      if (!slot.poisoned) {
        file.seek(DeviceLabel.SIZE + slot.offset);
        file.readFully(buffer, 0, slot.shape.length);
        found += isRight(slot) ? 0 : 1;
      }
    }
    return found;
  }

  private boolean storeWord(long offset, long number) {
    try {
      Gateway.putLong(window, offset, number);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }

  private boolean releaseWord(long offset, long number) {
    try {
      Gateway.putLongRelease(window, offset, number);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }

  private boolean fill(long offset, int length, byte value) {
    try {
      Gateway.fill(window, offset, length, value);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }

  private boolean copyIn(long offset, int length) {
    try {
      Gateway.copyIn(buffer, 0, window, offset, length);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }

  private boolean loadWord(long offset) {
    try {
      long word = Gateway.getLong(window, offset);
      Gateway.barrier();
      words.putLong(0, word);
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }

  private boolean copyOut(long offset, int length) {
    try {
      Gateway.copyOut(window, offset, buffer, 0, length);
      Gateway.barrier();
      return true;
    } catch (InternalError e) {
      caught++;
      return false;
    }
  }
}
