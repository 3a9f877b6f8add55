package dev.holdfast.metrics;

import dev.holdfast.Store;
import dev.holdfast.StoreHealth;
import dev.holdfast.StoreStats;
import dev.holdfast.StoreStats.Cache;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import dev.holdfast.health.LegState;
import dev.holdfast.health.StoreState;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.TimeGauge;
import io.micrometer.core.instrument.binder.BaseUnits;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.DoubleSupplier;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * The figures of a store, and what happens to it, as meters. {@code docs/failure-model.md} lists
 * them under "What to watch".
 *
 * <p>Each read of a meter asks {@link Store#stats} or {@link Store#health}: cheap, no lock that
 * operations hold, with every device gone. What there is no figure of is {@code NaN}. The figures
 * of a store that is closed stand still.
 *
 * <p><b>Lifetime:</b> bound once; {@link #close} takes the meters out of the registry and ends the
 * listening. Legs that come later get their meters when they come. <b>Threads:</b> any.
 */
@SuppressWarnings("exports") // who uses it requires Micrometer himself
public final class StoreMetrics implements MeterBinder, AutoCloseable {
  private static final String PREFIX = "holdfast.";

  private final Store store;
  private final Tags tags;
  private final List<Meter> meters = new ArrayList<>();
  private int legs;
  private final Map<HealthEvent.Kind, Counter> events = new EnumMap<>(HealthEvent.Kind.class);
  private @Nullable MeterRegistry registry;
  private final HealthListener listener = this::happened;

  /**
   * Meters of a store.
   *
   * @param store whose figures
   * @param name what tells its meters from those of other stores: the tag {@code store}
   */
  public StoreMetrics(Store store, String name) {
    this(store, name, List.of());
  }

  /**
   * Meters of a store.
   *
   * @param store whose figures
   * @param name what tells its meters from those of other stores: the tag {@code store}
   * @param tags further tags of all of them
   */
  public StoreMetrics(Store store, String name, Iterable<Tag> tags) {
    this.store = store;
    this.tags = Tags.of("store", name).and(tags);
  }

  /**
   * Registers the meters.
   *
   * @throws IllegalStateException if they are bound
   * @throws dev.holdfast.error.StoreClosedException if the store is closed
   */
  @Override
  public synchronized void bindTo(MeterRegistry to) {
    if (registry != null) {
      throw new IllegalStateException("metrics: expected to be bound once, was bound before");
    }
    for (HealthEvent.Kind kind : HealthEvent.Kind.values()) {
      Counter counter =
          Counter.builder(PREFIX + "events")
              .description("What happened to the store, by kind")
              .tags(tags.and("kind", kind.name()))
              .register(to);
      events.put(kind, counter);
      meters.add(counter);
    }
    store.addListener(listener);
    registry = to;
    bindStore(to);
    bindWork(to);
    bindLegs(to);
  }

  private void bindStore(MeterRegistry to) {
    health(to, "state", "0 ONLINE, 1 DEGRADED, 2 READ_ONLY, 3 FAILED", h -> number(h.state()));
    health(to, "bulk.state", "As state, of the BULK volume", h -> number(h.bulk()));
    health(to, "bulk.lost", "Ranges of it that no leg holds", h -> lost(h.bulk()));
    health(to, "lost", "Ranges that no leg holds any more", h -> h.lost().size());
    health(to, "batches.at.risk", "Batches that the log lost", h -> h.batchesAtRisk().size());
    health(to, "leases", "Open leases", h -> h.leases().open());
    bytes(to, "lease.held", "Kept for leases alone", () -> store.health().leases().bytesHeld());
    stats(to, "entries", "Entries", StoreStats::entries);
    stats(to, "snapshots", "Open snapshots", s -> s.snapshots().open());
    bytes(to, "snapshot.held", "Kept for snapshots", () -> store.stats().snapshots().bytesHeld());
    bytes(to, "capacity", "Room of a leg, in all", () -> store.stats().capacityBytes());
    bytes(to, "free", "Room of a leg, free", () -> store.stats().freeBytes());
    bytes(to, "leaves", "Room of a leg, in leaves", () -> store.stats().space().leafBytes());
    stats(
        to,
        "space.amplification",
        "Used for each byte of a record",
        s -> s.space().amplification());
    bytes(to, "memory.used", "Off the heap, for indexes", () -> store.stats().memory().usedBytes());
    bytes(to, "memory.budget", "What they may take", () -> store.stats().memory().budgetBytes());
    meters.add(
        TimeGauge.builder(
                PREFIX + "snapshot.oldest.age",
                store,
                TimeUnit.SECONDS,
                s -> s.stats().snapshots().oldestAge().toNanos() / 1e9)
            .description("Since when the oldest open snapshot has been held; 0 without one")
            .tags(tags)
            .register(to));
    count(to, "snapshots.gave.way", "Snapshots that kept too much", s -> s.snapshots().gaveWay());
    count(to, "gets", "Single reads", s -> s.operations().gets());
    count(to, "gets.records", "Records that those read", s -> s.operations().recordsRead());
    count(to, "puts", "Single writes", s -> s.operations().puts());
    count(to, "removes", "Single removals", s -> s.operations().removes());
    count(to, "batches", "Batches", s -> s.operations().batches());
    count(to, "batch.operations", "Operations in them", s -> s.operations().batchOperations());
    count(to, "leaves.scanned", "Leaves that scans copied", s -> s.operations().leavesScanned());
    count(to, "cache.hits", "Large values that the cache had", s -> cache(s, Cache::hits));
    count(to, "cache.misses", "Those that it had not", s -> cache(s, Cache::misses));
    count(to, "cache.evictions", "Copies driven out", s -> cache(s, Cache::evictions));
    count(to, "faults.caught", "Memory faults that accesses met", StoreStats::faultsCaught);
    count(to, "events.dropped", "Health events that were dropped", StoreStats::eventsLost);
  }

  private void bindWork(MeterRegistry to) {
    bytes(to, "resilver.done", "Copied to a leg that is behind", () -> resilvered(store.stats()));
    bytes(to, "resilver.total", "To copy to it in all", () -> toResilver(store.stats()));
    stats(to, "scrub.faults", "Found wrong by the last scrub", StoreMetrics::scrubFaults);
    stats(
        to,
        "scrub.running",
        "1 while everything is read and verified",
        s -> s.scrub().running() == null ? 0 : 1);
  }

  private static double number(StoreHealth.@Nullable Bulk bulk) {
    return bulk == null ? 0 : number(bulk.state());
  }

  private static double lost(StoreHealth.@Nullable Bulk bulk) {
    return bulk == null ? 0 : bulk.lost().size();
  }

  private static double cache(StoreStats stats, ToDoubleFunction<Cache> figure) {
    Cache cache = stats.cache();
    return cache == null ? 0 : figure.applyAsDouble(cache);
  }

  private static double resilvered(StoreStats stats) {
    StoreStats.Resilver copy = stats.resilver();
    return copy == null ? 0 : copy.bytesDone();
  }

  private static double toResilver(StoreStats stats) {
    StoreStats.Resilver copy = stats.resilver();
    return copy == null ? 0 : copy.bytesTotal();
  }

  private static double scrubFaults(StoreStats stats) {
    return stats.scrub().last() == null ? Double.NaN : stats.scrub().last().allFaults();
  }

  private void bindLegs(MeterRegistry to) {
    int now = store.health().legs().size();
    for (; legs < now; legs++) {
      int leg = legs;
      Tags its = tags.and("leg", String.valueOf(leg));
      gauge(
          to,
          "leg.state",
          "0 ONLINE, 1 DEGRADED, 2 RESILVERING, 3 FAULTED, 4 OFFLINE, 5 REMOVED, 6 DETACHED",
          its,
          s -> number(s.health().legs().get(leg).state()));
      gauge(
          to,
          "leg.bad.ranges",
          "Ranges of it that cannot be read",
          its,
          s -> s.health().legs().get(leg).badRanges().size());
      count(to, "leg.reads", "Records read from it", its, s -> s.legs().get(leg).reads());
      count(to, "leg.faults", "Memory faults of it", its, s -> s.legs().get(leg).faultsCaught());
    }
  }

  private void happened(HealthEvent event) {
    Counter counter = events.get(event.kind());
    if (counter != null) {
      counter.increment();
    }
    if (event.kind() == HealthEvent.Kind.LEG_RETURNED) {
      synchronized (this) {
        if (registry != null) {
          bindLegs(registry);
        }
      }
    }
  }

  /** Takes the meters out of the registry; harmless when that was done. */
  @Override
  public synchronized void close() {
    MeterRegistry from = registry;
    if (from == null) {
      return;
    }
    store.removeListener(listener);
    for (Meter meter : meters) {
      Meter _ = from.remove(meter);
    }
    meters.clear();
    registry = null;
    legs = 0;
  }

  private void health(
      MeterRegistry to, String name, String what, ToDoubleFunction<StoreHealth> of) {
    gauge(to, name, what, tags, s -> of.applyAsDouble(s.health()));
  }

  private void stats(MeterRegistry to, String name, String what, ToDoubleFunction<StoreStats> of) {
    gauge(to, name, what, tags, s -> of.applyAsDouble(s.stats()));
  }

  private void gauge(
      MeterRegistry to, String name, String what, Tags its, ToDoubleFunction<Store> of) {
    meters.add(Gauge.builder(PREFIX + name, store, of).description(what).tags(its).register(to));
  }

  private void bytes(MeterRegistry to, String name, String what, DoubleSupplier of) {
    meters.add(
        Gauge.builder(PREFIX + name, store, _ -> of.getAsDouble())
            .description(what)
            .baseUnit(BaseUnits.BYTES)
            .tags(tags)
            .register(to));
  }

  private void count(MeterRegistry to, String name, String what, ToDoubleFunction<StoreStats> of) {
    count(to, name, what, tags, of);
  }

  private void count(
      MeterRegistry to, String name, String what, Tags its, ToDoubleFunction<StoreStats> of) {
    meters.add(
        FunctionCounter.builder(PREFIX + name, store, s -> of.applyAsDouble(s.stats()))
            .description(what)
            .tags(its)
            .register(to));
  }

  private static int number(StoreState state) {
    return switch (state) {
      case ONLINE -> 0;
      case DEGRADED -> 1;
      case READ_ONLY -> 2;
      case FAILED -> 3;
    };
  }

  private static int number(LegState state) {
    return switch (state) {
      case ONLINE -> 0;
      case DEGRADED -> 1;
      case RESILVERING -> 2;
      case FAULTED -> 3;
      case OFFLINE -> 4;
      case REMOVED -> 5;
      case DETACHED -> 6;
    };
  }
}
