package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.codec.Codecs;
import dev.holdfast.codec.Tuple2;
import dev.holdfast.error.DataLostException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Every snippet of {@code docs/tutorial.md} runs here, and does what is said there. */
@Timeout(60)
final class TutorialTest {
  private static final Pattern SNIPPET =
      Pattern.compile("// snippet (\\w+)\n(.*?)\n *// end", Pattern.DOTALL);
  private static final Pattern BLOCK = Pattern.compile("```java\n(.*?)\n```", Pattern.DOTALL);

  @TempDir Path directory;

  // ---------------------------------------------------------------- the page and this class

  @Test
  void thePageShowsWhatRunsHereAndNothingElse() throws IOException {
    // Tests run in their module's directory.
    Path root = Path.of("").toAbsolutePath().resolve("..").normalize();
    String source =
        Files.readString(
            root.resolve("engine/src/test/java/dev/holdfast/TutorialTest.java"), UTF_8);
    List<String> run = new ArrayList<>();
    Matcher snippets = SNIPPET.matcher(source);
    while (snippets.find()) {
      run.add(snippets.group(2).stripIndent().strip());
    }
    List<String> shown = new ArrayList<>();
    Matcher blocks = BLOCK.matcher(Files.readString(root.resolve("docs/tutorial.md"), UTF_8));
    while (blocks.find()) {
      shown.add(blocks.group(1).strip());
    }
    assertTrue(run.size() > 10, () -> run.size() + " snippets");
    assertEquals(run, shown);
  }

  // ---------------------------------------------------------------- the snippets, in their order

  @Test
  void open() {
    Path data = directory.resolve("orders");
    // snippet open
    try (Store store = Store.open(data)) {
      store.put("order-17".getBytes(UTF_8), "3 apples".getBytes(UTF_8));
      byte[] found = store.get("order-17".getBytes(UTF_8)); // null if there is none
      System.out.println(new String(Objects.requireNonNull(found), UTF_8));
    }
    // end
    try (Store store = Store.open(data)) {
      assertArrayEquals("3 apples".getBytes(UTF_8), store.get("order-17".getBytes(UTF_8)));
      assertEquals(2, store.devices().size());
    }
  }

  @Test
  void configure() {
    Path data = directory.resolve("orders");
    Path fast = directory.resolve("fast.pmem");
    Path other = directory.resolve("other.pmem");
    // snippet configure
    Store store =
        Store.builder(data)
            .legs(fast, other) // put them on two devices
            .persistence(PersistenceMode.FILE) // acknowledged is on the medium
            .memoryBudget(2L << 30) // for what leads to the entries
            .open();
    // end
    try (store) {
      assertTrue(Files.exists(fast) && Files.exists(other));
      assertEquals(PersistenceMode.FILE, store.stats().persistenceMode());
      assertEquals(2L << 30, store.stats().memory().budgetBytes());
    }
  }

  @Test
  void typed() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      Instant now = Instant.parse("2026-01-02T03:04:05Z");
      // snippet typed
      TypedMap<Tuple2<String, Instant>, Long> sales =
          store.map("sales", Codecs.tuple(Codecs.STRING, Codecs.INSTANT), Codecs.LONG);
      sales.put(new Tuple2<>("apple", now), 300L);
      sales.put(new Tuple2<>("apple", now.plusSeconds(60)), 500L);
      sales.put(new Tuple2<>("pear", now), 100L);
      // end
      List<Long> seen = new ArrayList<>();
      // snippet range
      TypedRange<Tuple2<String, Instant>> apples =
          TypedRange.closed(new Tuple2<>("apple", Instant.MIN), new Tuple2<>("apple", Instant.MAX));
      try (Stream<Map.Entry<Tuple2<String, Instant>, Long>> newestFirst =
          sales.reverseStream(apples)) {
        newestFirst.limit(10).forEach(sale -> seen.add(sale.getValue()));
      }
      // end
      assertEquals(List.of(500L, 300L), seen);
      // snippet view
      ConcurrentNavigableMap<Tuple2<String, Instant>, Long> map = sales.asMap();
      map.merge(new Tuple2<>("pear", now), 50L, Long::sum); // atomic, as in every concurrent map
      // end
      assertEquals(150L, sales.get(new Tuple2<>("pear", now)));
    }
  }

  @Test
  void bytes() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      for (String name : List.of("user/7/name", "user/7/mail", "user/8/name", "a")) {
        store.put(name.getBytes(UTF_8), name.getBytes(UTF_8));
      }
      List<String> names = new ArrayList<>();
      // snippet cursor
      try (Cursor cursor = store.cursor(KeyRange.prefix("user/7/".getBytes(UTF_8)))) {
        while (cursor.next()) {
          names.add(new String(cursor.key(), UTF_8));
        }
      }
      // end
      assertEquals(List.of("user/7/mail", "user/7/name"), names);
      // snippet scan
      long[] bytes = new long[1];
      store.scan(
          KeyRange.all(),
          false, // ascending
          (keys, keyAt, keyLength, values, valueAt, valueLength) -> {
            bytes[0] += keyLength + valueLength; // places in arrays: nothing is allocated
            return true; // go on
          });
      // end
      assertEquals(2 * (11 + 11 + 11 + 1), bytes[0]);
    }
  }

  @Test
  void together() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      byte[] order = "order-18".getBytes(UTF_8);
      byte[] index = "customer-5/order-18".getBytes(UTF_8);
      byte[] stock = "stock/apple".getBytes(UTF_8);
      // snippet batch
      store.write(
          new WriteBatch()
              .put(order, "2 apples".getBytes(UTF_8))
              .put(index, new byte[0])
              .remove("draft-18".getBytes(UTF_8)));
      // end
      assertNotNull(store.get(order));
      assertNotNull(store.get(index));
      // snippet update
      store.add(stock, 10); // a counter: 8 bytes, most significant first
      store.compute(order, (key, former) -> former == null ? null : "3 apples".getBytes(UTF_8));
      boolean mine = store.replace(order, "3 apples".getBytes(UTF_8), "paid".getBytes(UTF_8));
      // end
      assertTrue(mine);
      assertEquals(10, store.add(stock, 0));
      // snippet transaction
      boolean sold =
          store.transact(transaction -> {
            TypedTransactionMap<String, Long> within =
                store.map("stock", Codecs.STRING, Codecs.LONG).in(transaction);
            Long left = within.get("apple");
            if (left == null || left < 3) {
              return false;
            }
            within.put("apple", left - 3);
            transaction.put(order, "sold".getBytes(UTF_8));
            return true;
          });
      // end
      assertFalse(sold);
      store.map("stock", Codecs.STRING, Codecs.LONG).put("apple", 3L);
      assertArrayEquals("paid".getBytes(UTF_8), store.get(order));
    }
  }

  @Test
  void expiring() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      byte[] session = "s-1".getBytes(UTF_8);
      byte[] user = "u-1".getBytes(UTF_8);
      // snippet expiring
      ExpiringMap sessions = store.expiringMap("sessions");
      sessions.put(session, user, Duration.ofMinutes(30));
      Instant until = sessions.deadline(session); // null if there is none, or it has expired
      sessions.setDeadline(session, Instant.now().plus(Duration.ofHours(1)));
      // end
      assertNotNull(until);
      assertTrue(Objects.requireNonNull(sessions.deadline(session)).isAfter(until));
      assertNull(store.get(session));
    }
  }

  @Test
  void large() throws IOException {
    try (Store store = Store.open(directory.resolve("orders"))) {
      byte[] key = "movie".getBytes(UTF_8);
      byte[] content = new byte[3 << 20];
      content[1_000_000] = 7;
      InputStream in = new ByteArrayInputStream(content);
      OutputStream out = OutputStream.nullOutputStream();
      byte[] part = new byte[65_536];
      // snippet large
      store.put(key, in, content.length); // the former value stays where the stream breaks off
      store.read(key, out);
      try (Lease movie = Objects.requireNonNull(store.lease(key))) {
        movie.copyTo(1_000_000, part, 0, part.length); // any part, where it lies
      }
      // end
      assertEquals(7, part[0]);
    }
  }

  @Test
  void snapshot() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      byte[] key = "k".getBytes(UTF_8);
      store.put(key, "before".getBytes(UTF_8));
      // snippet snapshot
      try (Snapshot then = store.snapshot()) {
        store.put(key, "after".getBytes(UTF_8));
        byte[] before = then.get(key); // of all maps, of one moment: then.map(name)
        System.out.println(new String(Objects.requireNonNull(before), UTF_8));
      }
      // end
      assertArrayEquals("after".getBytes(UTF_8), store.get(key));
    }
  }

  @Test
  void async() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      List<byte[]> readings = List.of(new byte[] {1}, new byte[] {2}, new byte[] {3});
      // snippet async
      List<CompletableFuture<Void>> writes = new ArrayList<>();
      for (byte[] reading : readings) {
        writes.add(store.async().put(reading, reading));
      }
      CompletableFuture.allOf(writes.toArray(CompletableFuture[]::new)).join();
      // end
      assertEquals(3, store.stats().entries());
    }
  }

  @Test
  void loss() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      byte[] key = "k".getBytes(UTF_8);
      store.put(key, key);
      Queue<HealthEvent> events = new ConcurrentLinkedQueue<>();
      // snippet pull
      store.addListener(event -> events.add(event)); // on a thread of its own
      EmulatedDevice device = (EmulatedDevice) store.devices().get(0);
      device.faults().remove(); // the pages under the mapping are gone

      byte[] value = store.get(key); // served by the other leg
      store.put("another".getBytes(UTF_8), key);
      StoreState state = store.health().state(); // DEGRADED, and health() says why

      device.faults().reinsert(); // it is brought up to date by itself, with what it missed
      // end
      assertArrayEquals(key, value);
      assertEquals(StoreState.DEGRADED, state);
      await().until(() -> store.health().state() == StoreState.ONLINE);
      await().until(() -> events.size() > 2);
      assertArrayEquals(key, store.get("another".getBytes(UTF_8)));
    }
  }

  @Test
  void lost() {
    try (Store store = Store.builder(directory.resolve("orders")).single().open()) {
      byte[] key = "order-17".getBytes(UTF_8);
      store.put(key, key);
      store.put("other".getBytes(UTF_8), key);
      StoreExtent record =
          store.owners(0, Long.MAX_VALUE).stream()
              .filter(extent -> extent.key() != null)
              .findFirst()
              .orElseThrow();
      EmulatedDevice device = (EmulatedDevice) store.devices().get(0);
      device.faults().poison(record.offset(), 1);
      List<StoreHealth.Lost> named = new ArrayList<>();
      // snippet lost
      try {
        store.get(key);
      } catch (DataLostException e) {
        for (StoreHealth.Lost lost : store.health().lost()) {
          named.add(lost); // which keys of which map
        }
        store.put(key, "again".getBytes(UTF_8)); // heals it
      }
      // end
      assertFalse(named.isEmpty());
      assertArrayEquals("again".getBytes(UTF_8), store.get(key));
    }
  }

  @Test
  void backups() throws IOException {
    Path backups = Files.createDirectory(directory.resolve("backups"));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (Store store = Store.open(directory.resolve("orders"))) {
      store.put("a".getBytes(UTF_8), "1".getBytes(UTF_8));
      // snippet backup
      Path monday = backups.resolve("monday");
      CheckpointReport whole = store.checkpoint(monday); // while the store is in use
      store.put("b".getBytes(UTF_8), "2".getBytes(UTF_8));
      CheckpointReport since = store.checkpoint(monday, new CheckpointOptions().update());
      VerifyReport found = Store.verify(monday); // reads everything, changes nothing
      Dump.write(store, out); // portable: docs/dump.md
      // end
      assertEquals(1, whole.entriesWritten());
      assertEquals(1, since.entriesWritten());
      assertEquals(2, since.entries());
      assertTrue(found.isWhole());
      assertTrue(out.size() > 0);
    }
    try (Store restored = Store.open(backups.resolve("monday"))) {
      assertEquals(2, restored.stats().entries());
    }
  }

  @Test
  void figures() {
    try (Store store = Store.open(directory.resolve("orders"))) {
      store.put("a".getBytes(UTF_8), "1".getBytes(UTF_8));
      // snippet stats
      StoreStats stats = store.stats();
      System.out.printf(
          "%d entries, %d bytes used for each 100, %.2f records read a get, %d bytes off the"
              + " heap%n",
          stats.entries(),
          (long) (100 * stats.space().amplification()),
          stats.operations().readAmplification(),
          stats.memory().usedBytes());
      // end
      assertEquals(1, stats.entries());
    }
  }
}
