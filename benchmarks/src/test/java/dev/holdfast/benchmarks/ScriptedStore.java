package dev.holdfast.benchmarks;

import dev.holdfast.Store;
import dev.holdfast.StoreExtent;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthEvent.Kind;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.Fault;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A store in a hash map that tells of a failover whenever one of its two real, empty devices is
 * pulled out, and of a repair whenever a page of one is poisoned, and that can be made to break
 * every promise: what the benchmark must notice.
 */
final class ScriptedStore implements AutoCloseable {
  /** Reads are said to come from this leg, whatever happens. */
  static final int SERVING = 1;

  private final Map<String, byte[]> entries = new ConcurrentHashMap<>();
  private final List<HealthListener> listeners = new CopyOnWriteArrayList<>();
  private final List<EmulatedDevice> devices = new ArrayList<>();
  private final AtomicLong reads = new AtomicLong();
  private final Store store;
  private final List<Integer> removed = new CopyOnWriteArrayList<>();
  private volatile boolean degraded;

  /** Told by this store when a leg goes. */
  volatile Set<Kind> steps =
      Set.of(Kind.FAULT_CAUGHT, Kind.READ_SWITCHED, Kind.MARK_DURABLE, Kind.WRITE_SWITCHED);

  /** What becomes of a value on its way to the reader; null makes it a missing entry. */
  volatile UnaryOperator<byte @Nullable []> onRead = value -> value;

  /** The keys that are said to lie on every page. */
  volatile List<byte[]> owners = List.of();

  /** Called when a leg goes or a page is poisoned, before anything is told. */
  volatile Runnable onRemoval = () -> {};

  /** Called before every put. */
  volatile Runnable beforePut = () -> {};

  /** Whether a put that is acknowledged is kept. */
  volatile boolean keeping = true;

  ScriptedStore(Path directory) {
    for (int leg = 0; leg < 2; leg++) {
      int index = leg;
      EmulatedDevice device =
          EmulatedDevice.create(directory.resolve("leg-" + leg), 2 << 20, PersistenceMode.PROCESS);
      device.hold((failed, fault) -> notified(index, fault));
      devices.add(device);
    }
    store =
        (Store)
            Proxy.newProxyInstance(
                Store.class.getClassLoader(),
                new Class<?>[] {Store.class},
                (proxy, method, arguments) -> call(method, arguments));
  }

  Store store() {
    return store;
  }

  /** The legs that were pulled out so far. */
  List<Integer> removed() {
    return removed;
  }

  private void notified(int leg, Fault fault) {
    if (fault.kind() == FaultKind.POISON) {
      onRemoval.run();
      tell(Kind.FAULT_CAUGHT, leg);
      var _ = devices.get(leg).clearPoison(fault.offset(), fault.length());
      devices.get(leg).dropBadBlocks(fault.offset(), fault.length());
      tell(Kind.RANGE_REPAIRED, leg);
    }
    if (fault.kind() == FaultKind.REMOVED) {
      removed.add(leg);
      onRemoval.run();
      degraded = true;
      for (Kind step : Kind.values()) {
        if (steps.contains(step)) {
          tell(step, leg);
        }
      }
    }
  }

  private void tell(Kind kind, int leg) {
    var event = new HealthEvent(1, System.nanoTime(), kind, leg, 0, 0, "");
    listeners.forEach(listener -> listener.onEvent(event));
  }

  private @Nullable Object call(Method method, Object[] arguments) {
    return switch (method.getName()) {
      case "get" -> get((MemorySegment) arguments[0], (MemorySegment) arguments[1]);
      case "put" -> {
        beforePut.run();
        if (keeping) {
          entries.put(text(arguments[0]), bytes(arguments[1]));
        }
        yield null;
      }
      case "addListener" -> listeners.add((HealthListener) arguments[0]);
      case "removeListener" -> listeners.remove(arguments[0]);
      case "owners" ->
          owners.stream()
              .map(key -> new StoreExtent((long) arguments[0], 1, null, key, "record"))
              .toList();
      case "devices" -> List.<PmemDevice>copyOf(devices);
      case "stats" -> stats();
      case "health" ->
          new StoreHealth(
              degraded ? StoreState.DEGRADED : StoreState.ONLINE, null, List.of(), List.of());
      case "online" -> {
        degraded = false;
        tell(Kind.LEG_ONLINE, (int) arguments[0]);
        yield null;
      }
      default -> throw new UnsupportedOperationException(method.getName());
    };
  }

  private long get(MemorySegment key, MemorySegment into) {
    reads.incrementAndGet();
    byte[] value = onRead.apply(entries.get(text(key)));
    if (value == null) {
      return -1;
    }
    MemorySegment.copy(value, 0, into, ValueLayout.JAVA_BYTE, 0, value.length);
    return value.length;
  }

  private StoreStats stats() {
    List<StoreStats.Leg> legs = new ArrayList<>();
    for (int leg = 0; leg < devices.size(); leg++) {
      EmulatedDevice device = devices.get(leg);
      legs.add(
          new StoreStats.Leg(
              leg,
              device.id(),
              device.name(),
              LegState.ONLINE,
              leg == SERVING ? reads.get() : 0,
              0,
              0));
    }
    StoreStats.Snapshots none = new StoreStats.Snapshots(0, Duration.ZERO, 0, 0);
    StoreStats.Memory memory = new StoreStats.Memory(0, Long.MAX_VALUE);
    return new StoreStats(
        entries.size(),
        true,
        0,
        0,
        new StoreStats.Space(0, 0, 0, 0),
        new StoreStats.Operations(reads.get(), reads.get(), 0, 0, 0, 0, 0),
        PersistenceMode.PROCESS,
        1,
        0,
        0,
        memory,
        none,
        null,
        StoreStats.Scrub.NONE,
        null,
        legs);
  }

  private static String text(Object key) {
    return Arrays.toString(bytes(key));
  }

  private static byte[] bytes(Object segment) {
    return ((MemorySegment) segment).toArray(ValueLayout.JAVA_BYTE);
  }

  @Override
  public void close() {
    devices.forEach(EmulatedDevice::close);
  }
}
