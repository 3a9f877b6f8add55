package dev.holdfast.metrics;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Snapshot;
import dev.holdfast.Store;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.volume.VolumeLayout;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class StoreMetricsTest {
  private static final byte[] KEY = "key".getBytes(UTF_8);

  @TempDir Path directory;

  private final SimpleMeterRegistry registry = new SimpleMeterRegistry();
  private Store store;
  private StoreMetrics metrics;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).memoryBudget(64 << 20).open();
    metrics = new StoreMetrics(store, "orders", List.of(Tag.of("zone", "a")));
    metrics.bindTo(registry);
  }

  @AfterEach
  void close() {
    metrics.close();
    store.close();
  }

  private double gauge(String name, String... tags) {
    return registry.get("holdfast." + name).tag("zone", "a").tags(tags).gauge().value();
  }

  private double count(String name, String... tags) {
    return registry.get("holdfast." + name).tags(tags).functionCounter().count();
  }

  private double events(String kind) {
    return registry.get("holdfast.events").tags("store", "orders", "kind", kind).counter().count();
  }

  @Test
  void figuresOfTheStore() {
    store.put(KEY, KEY);
    assertEquals(0, gauge("state"));
    assertEquals(1, gauge("entries"));
    assertEquals((double) store.stats().capacityBytes(), gauge("capacity"));
    assertEquals((double) store.stats().freeBytes(), gauge("free"));
    assertEquals((double) store.stats().memory().usedBytes(), gauge("memory.used"));
    assertEquals(64 << 20, gauge("memory.budget"));
    assertEquals("bytes", registry.get("holdfast.free").gauge().getId().getBaseUnit());
    long reads = store.stats().legs().get(0).reads();
    assertNotNull(store.get(KEY));
    assertEquals((double) reads + 1, count("leg.reads", "leg", "0"));
    assertEquals(1, count("puts"));
    assertEquals(1, count("gets"));
    assertEquals(1, count("gets.records"));
    assertEquals(0, count("removes"));
    assertEquals(0, count("batches"));
    assertEquals((double) store.stats().space().leafBytes(), gauge("leaves"));
    assertTrue(gauge("space.amplification") > 1);
    assertEquals(0, gauge("snapshots"));
    assertEquals(0, gauge("snapshot.oldest.age"));
    try (Snapshot _ = store.snapshot()) {
      assertEquals(1, gauge("snapshots"));
      assertTrue(gauge("snapshot.oldest.age") > 0);
    }
    try (var _ = store.lease(KEY)) {
      assertEquals(1, gauge("leases"));
    }
    assertEquals(0, gauge("resilver.total"));
    assertEquals(0, gauge("scrub.running"));
    assertTrue(Double.isNaN(gauge("scrub.faults")), "none has ended");
    store.scrub();
    assertEquals(0, gauge("scrub.faults"));
    await().until(() -> events("SCRUB_ENDED") == 1);
  }

  @Test
  void lossOfALegAndItsReturn() {
    store.put(KEY, KEY);
    EmulatedDevice device = (EmulatedDevice) store.devices().get(0);
    device.faults().remove();
    assertNotNull(store.get(KEY));
    store.put(KEY, KEY);
    assertEquals(1, gauge("state"));
    assertEquals(5, gauge("leg.state", "leg", "0"));
    assertEquals(0, gauge("leg.state", "leg", "1"));
    await().until(() -> events("WRITE_SWITCHED") == 1);
    device.faults().reinsert();
    await().atMost(Duration.ofSeconds(30)).until(() -> gauge("leg.state", "leg", "0") == 0);
    await().until(() -> events("LEG_ONLINE") == 1);
    assertTrue(gauge("resilver.total") > 0);
    assertEquals(gauge("resilver.total"), gauge("resilver.done"));
    assertEquals(0, gauge("state"));
  }

  private static long pageOfTheRecord(Store of) {
    return of.owners(0, VolumeLayout.MAX_CAPACITY).stream()
            .filter(extent -> extent.key() != null)
            .findFirst()
            .orElseThrow()
            .offset()
        & -4096;
  }

  @Test
  void whatIsLost() {
    try (Store single = Store.builder(directory.resolve("one")).single().open();
        StoreMetrics its = new StoreMetrics(single, "single")) {
      its.bindTo(registry);
      single.put(KEY, KEY);
      ((EmulatedDevice) single.devices().get(0)).faults().poison(pageOfTheRecord(single), 4096);
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> registry.get("holdfast.lost").tag("store", "single").gauge().value() == 1);
    }
  }

  @Test
  void whatIsBadAndCannotBeRepaired() {
    store.put(KEY, KEY);
    EmulatedDevice device = (EmulatedDevice) store.devices().get(1);
    device.faults().failClears(1_000_000);
    device.faults().poison(pageOfTheRecord(store), 4096);
    await().atMost(Duration.ofSeconds(30)).until(() -> gauge("leg.bad.ranges", "leg", "1") == 1);
    assertEquals(0, gauge("leg.bad.ranges", "leg", "0"));
    assertEquals(1, store.stats().legs().get(1).badRanges());
    assertEquals(0, store.stats().legs().get(0).badRanges());
  }

  @Test
  void legThatComesLaterGetsItsMeters() {
    int leg = store.attach(directory.resolve("third"));
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() ->
            registry.find("holdfast.leg.state").tag("leg", String.valueOf(leg)).gauge() != null);
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> gauge("leg.state", "leg", String.valueOf(leg)) == 0);
  }

  @Test
  void boundOnceAndTakenOut() {
    assertThrows(IllegalStateException.class, () -> metrics.bindTo(registry));
    assertFalse(registry.getMeters().isEmpty());
    metrics.close();
    metrics.close();
    assertEquals(List.of(), registry.getMeters());
  }

  /** Who closes the store first, and looks then. */
  @Test
  void figuresOfAClosedStoreStandStill() {
    store.put(KEY, KEY);
    store.close();
    for (Meter meter : registry.getMeters()) {
      meter.measure().forEach(each -> assertFalse(Double.isInfinite(each.getValue())));
    }
    Gauge entries = registry.get("holdfast.entries").gauge();
    assertEquals(1, entries.value());
  }
}
