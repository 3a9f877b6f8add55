import dev.holdfast.DaxFallback;
import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.health.HealthEvent;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.function.BooleanSupplier;
import java.util.zip.CRC32C;

/**
 * A mirrored store with one leg on each of two NVDIMMs, written and read all the time, while the
 * kernel is made to report a bad block, a machine check, the removal of a device and its return.
 *
 * <p>Every value says which key and version it is, with a checksum. A read must show a version
 * between the last that was acknowledged when it began and the last that was begun when it ended.
 */
public final class PmemLane {
  private static final int KEYS = 2_000;
  private static final int VALUE = 400;
  private static final Path LEG_0 = Path.of("/mnt/pmem0/leg");
  private static final Path LEG_1 = Path.of("/mnt/pmem1/leg");

  /** Bytes of a device file in front of the first byte of the device. */
  private static final int LABEL = 64 * 1024;

  private static final int PAGE = 4096;
  private static final long DEADLINE_NANOS = 60_000_000_000L;

  private final AtomicLongArray begun = new AtomicLongArray(KEYS);
  private final AtomicLongArray acknowledged = new AtomicLongArray(KEYS);
  private final AtomicLong reads = new AtomicLong();
  private final AtomicLong writes = new AtomicLong();
  private final AtomicLong lost = new AtomicLong();
  private final AtomicLong wrong = new AtomicLong();
  private final AtomicLong failed = new AtomicLong();
  private final List<HealthEvent> events = new CopyOnWriteArrayList<>();
  private volatile boolean stop;
  private boolean allPassed = true;

  private PmemLane() {}

  /** Runs all of it; exits with 0 if every step passed. */
  public static void main(String[] arguments) throws Exception {
    System.exit(new PmemLane().run() ? 0 : 1);
  }

  private Store open() {
    return Store.builder(Path.of("/run/store"))
        .legs(LEG_0, LEG_1)
        .dax(DaxFallback.REFUSE)
        .initialCapacity(64L << 20)
        .listener(event -> {
          events.add(event);
          System.out.printf(
              "  event %s leg %d [%d, +%d) %s%n",
              event.kind(), event.leg(), event.offset(), event.length(), event.detail());
        })
        .open();
  }

  private boolean run() throws Exception {
    Store store = open();
    for (int key = 0; key < KEYS; key++) {
      put(store, key);
    }
    Thread[] threads = {
      new Thread(() -> write(store)), new Thread(() -> read(store)), new Thread(() -> read(store))
    };
    for (Thread thread : threads) {
      thread.setDaemon(true);
      thread.start();
    }
    Thread.sleep(2_000);
    step("start", store, () -> isWhole(store));

    // More than one: a page must not be given the place that another one has just left.
    for (int key : new int[] {0, KEYS / 8, KEYS / 4}) {
      long block = pageOf(store, key);
      fault("bad", LEG_0.toString(), Long.toString(LABEL + block), "pmem0");
      step("bad block under live data", store, () -> isRepaired(store, block));
    }

    long checked = pageOf(store, KEYS / 2);
    fault("mce", LEG_0.toString(), Long.toString(LABEL + checked), "pmem0");
    step("machine check", store, () -> isRepaired(store, checked));

    fault("unbind", "pmem0");
    step(
        "unbind of the leg that serves reads",
        store,
        () ->
            saw(HealthEvent.Kind.READ_SWITCHED)
                && isAway(stateOf(store, 0))
                && stateOf(store, 1).equals("ONLINE"));
    Thread.sleep(2_000);

    fault("return", "pmem0");
    step("return and resilver", store, () -> saw(HealthEvent.Kind.LEG_ONLINE) && isWhole(store));
    Thread.sleep(2_000);

    stop = true;
    for (Thread thread : threads) {
      thread.join(20_000);
    }
    store.close();
    Store again = open();
    step("close", again, () -> isWhole(again));
    again.close();
    return allPassed;
  }

  /** Waits for what has to come, reads everything, and says what became of it. */
  private void step(String name, Store store, BooleanSupplier expected) throws Exception {
    long deadline = System.nanoTime() + DEADLINE_NANOS;
    while (!expected.getAsBoolean() && System.nanoTime() - deadline < 0) {
      Thread.sleep(50);
    }
    boolean came = expected.getAsBoolean();
    for (int key = 0; key < KEYS; key++) {
      check(store, key);
    }
    boolean passed = came && lost.get() == 0 && wrong.get() == 0 && failed.get() == 0;
    allPassed &= passed;
    System.out.printf(
        "LANE %s %s: lost %d wrong %d failed %d; reads %d writes %d; store %s, legs %s %s%s%n",
        passed ? "PASS" : "FAIL",
        name,
        lost.get(),
        wrong.get(),
        failed.get(),
        reads.get(),
        writes.get(),
        store.health().state(),
        stateOf(store, 0),
        stateOf(store, 1),
        came ? "" : "; what was expected did not come");
    events.clear();
  }

  private boolean saw(HealthEvent.Kind kind) {
    return events.stream().anyMatch(event -> event.kind() == kind && event.leg() == 0);
  }

  private boolean sawAt(HealthEvent.Kind kind, long page) {
    return events.stream()
        .anyMatch(event ->
            event.kind() == kind && event.leg() == 0 && event.offset() / PAGE == page / PAGE);
  }

  private boolean isRepaired(Store store, long page) {
    return sawAt(HealthEvent.Kind.RANGE_POISONED, page)
        && sawAt(HealthEvent.Kind.RANGE_REPAIRED, page)
        && isWhole(store);
  }

  private static boolean isWhole(Store store) {
    return stateOf(store, 0).equals("ONLINE")
        && stateOf(store, 1).equals("ONLINE")
        && store.health().state().toString().equals("ONLINE");
  }

  /** Removed, or faulted where the heartbeat was first to notice. */
  private static boolean isAway(String state) {
    return state.equals("REMOVED") || state.equals("FAULTED");
  }

  private static String stateOf(Store store, int leg) {
    return store.health().legs().get(leg).state().toString();
  }

  /** Where on the device of a leg the page lies now that has the record of a key. */
  private static long pageOf(Store store, int key) {
    byte[] wanted = keyOf(key);
    for (StoreExtent extent : store.owners(0, store.devices().get(0).capacity())) {
      if (extent.key() != null && Arrays.equals(extent.key(), wanted)) {
        return extent.offset() / PAGE * PAGE;
      }
    }
    throw new IllegalStateException("key " + key + ": expected a record, found none");
  }

  private static void fault(String... arguments) throws IOException, InterruptedException {
    String[] command = new String[arguments.length + 2];
    command[0] = "/bin/bash";
    command[1] = "/lane/fault.sh";
    System.arraycopy(arguments, 0, command, 2, arguments.length);
    System.out.println("fault: " + String.join(" ", arguments));
    new ProcessBuilder(command).inheritIO().start().waitFor();
  }

  private void write(Store store) {
    while (!stop) {
      put(store, ThreadLocalRandom.current().nextInt(KEYS));
    }
  }

  private void read(Store store) {
    while (!stop) {
      check(store, ThreadLocalRandom.current().nextInt(KEYS));
    }
  }

  private void put(Store store, int key) {
    long version = begun.incrementAndGet(key);
    try {
      store.put(keyOf(key), valueOf(key, version));
      acknowledged.set(key, version);
      writes.incrementAndGet();
    } catch (Throwable t) {
      failed("put", t);
    }
  }

  private void check(Store store, int key) {
    try {
      long least = acknowledged.get(key);
      byte[] value = store.get(keyOf(key));
      long most = begun.get(key);
      reads.incrementAndGet();
      if (value == null) {
        lost.incrementAndGet();
        return;
      }
      long version = value.length == VALUE ? ByteBuffer.wrap(value).getLong(8) : -1;
      if (version < least || version > most || !Arrays.equals(value, valueOf(key, version))) {
        wrong.incrementAndGet();
      }
    } catch (Throwable t) {
      failed("get", t);
    }
  }

  private void failed(String what, Throwable t) {
    if (failed.incrementAndGet() <= 5) {
      System.out.println("failed: " + what);
      t.printStackTrace(System.out);
    }
  }

  private static byte[] keyOf(int key) {
    return String.format("key-%06d", key).getBytes(StandardCharsets.US_ASCII);
  }

  private static byte[] valueOf(int key, long version) {
    ByteBuffer value = ByteBuffer.allocate(VALUE);
    value.putLong(key).putLong(version);
    long filler = key * 31L + version;
    while (value.remaining() > 2 * Long.BYTES) {
      filler = filler * 6364136223846793005L + 1442695040888963407L;
      value.putLong(filler);
    }
    CRC32C crc = new CRC32C();
    crc.update(value.array(), 0, VALUE - Long.BYTES);
    return value.putLong(VALUE - Long.BYTES, crc.getValue()).array();
  }
}
