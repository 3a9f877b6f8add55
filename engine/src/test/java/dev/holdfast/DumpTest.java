package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.value;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DumpDamagedException;
import dev.holdfast.health.StoreState;
import dev.holdfast.rules.FastPlace;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Dumps, whole ones, damaged ones, and those that somebody made up. */
@Timeout(60)
final class DumpTest {
  private static final int LARGE = 200_000;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Store open(String name) {
    return Store.builder(directory.resolve(name)).initialCapacity(4 << 20).single().open();
  }

  /** No part of it is as another one. */
  private static byte[] bytes(int seed, int length) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static byte[] dump(Store store) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Dump.Summary _ = Dump.write(store, out);
    return out.toByteArray();
  }

  /** Of a store with 3 small entries, a large one, and 2 small ones behind it. */
  private byte[] small() throws IOException {
    try (Store store = open("small")) {
      fill(store, 0, 3);
      store.put(key(3), bytes(3, LARGE));
      fill(store, 4, 6);
      return dump(store);
    }
  }

  private static ByteArrayInputStream in(byte[] dump) {
    return new ByteArrayInputStream(dump);
  }

  @Test
  void whatWasDumpedIsReadToAnyStore() throws Exception {
    Path file = directory.resolve("dump");
    Dump.Summary written;
    try (Store store = open("s")) {
      fill(store, 0, 5_000);
      store.put(key(5_000), bytes(1, 3_000_000));
      store.put(key(5_001), new byte[0]);
      store.put(new byte[] {-1, -1}, bytes(2, 64 << 10)); // Larger than a part, with its key.
      try (OutputStream out = Files.newOutputStream(file)) {
        written = Dump.write(store, out);
      }
      assertEquals(5_003, written.entries());
    }
    try (Store store = open("t")) {
      store.put(key(9_000), value(9));
      store.put(key(1), value(9));
      assertEquals(written, Dump.read(file, store));
      assertHolds(store, 0, 5_000);
      assertArrayEquals(bytes(1, 3_000_000), store.get(key(5_000)));
      assertArrayEquals(new byte[0], store.get(key(5_001)));
      assertArrayEquals(bytes(2, 64 << 10), store.get(new byte[] {-1, -1}));
      assertArrayEquals(value(9), store.get(key(9_000)));
      assertEquals(5_004, store.stats().entries());
    }
  }

  @Test
  void whatWasLostIsThereAgainOnceADumpWasRead() throws Exception {
    byte[] dump;
    try (Store store = open("s")) {
      fill(store, 0, 2_000);
      dump = dump(store);
      long page = TestStores.recordOf(store, key(700)).offset() / 4096 * 4096;
      TestStores.leg(store, 0).faults().poison(page, 1);
      assertThrows(DataLostException.class, () -> store.get(key(700)));
      await().until(() -> !store.health().lost().isEmpty());
      Dump.Summary _ = Dump.read(in(dump), store);
      assertHolds(store, 0, 2_000);
      await().until(() -> store.health().lost().isEmpty());
    }
    try (Store store = open("s")) {
      assertHolds(store, 0, 2_000);
      assertEquals(List.of(), store.health().lost());
      assertEquals(StoreState.ONLINE, store.health().state());
    }
  }

  @Test
  void anEmptyStoreHasADump() throws Exception {
    try (Store store = open("s")) {
      byte[] dump = dump(store);
      assertEquals(new Dump.Summary(0, 0), Dump.verify(in(dump)));
      assertEquals(new Dump.Summary(0, 0), Dump.read(in(dump), store));
    }
  }

  // ---------------------------------------------------------------- damage

  @Test
  void everyBitCounts() throws Exception {
    byte[] dump = small();
    assertEquals(6, Dump.verify(in(dump)).entries());
    Random random = new Random(1);
    for (int i = 0; i < 3_000; i++) {
      // All of the begin, and some of the rest.
      int at = i < 400 ? i : random.nextInt(dump.length);
      byte[] damaged = dump.clone();
      damaged[at] ^= (byte) (1 << random.nextInt(8));
      DumpDamagedException found =
          assertThrows(DumpDamagedException.class, () -> Dump.verify(in(damaged)), "byte " + at);
      // A wrong id shows by the first part.
      assertTrue(found.offset() <= Math.max(at, 28), "byte " + at + ": " + found.getMessage());
    }
  }

  @Test
  void aDumpThatWasCutOffIsNone() throws Exception {
    byte[] dump = small();
    for (int length = 0; length < dump.length; length += length < 400 ? 1 : 997) {
      byte[] cut = Arrays.copyOf(dump, length);
      assertThrows(DumpDamagedException.class, () -> Dump.verify(in(cut)), "length " + length);
    }
    byte[] longer = Arrays.copyOf(dump, dump.length + 1);
    assertThrows(DumpDamagedException.class, () -> Dump.verify(in(longer)));
  }

  @Test
  void aDamagedFileChangesNothing() throws Exception {
    byte[] dump = small();
    dump[dump.length - 30] ^= 1;
    Path file = Files.write(directory.resolve("dump"), dump);
    try (Store store = open("t")) {
      DumpDamagedException found =
          assertThrows(DumpDamagedException.class, () -> Dump.read(file, store));
      assertEquals(0, found.entriesImported());
      assertEquals(0, store.stats().entries());
    }
  }

  @Test
  void aDamagedStreamSaysHowMuchWasWritten() throws Exception {
    byte[] dump = small();
    int large = partsOf(dump).get(5).from; // The second part of the large value.
    dump[large + 100] ^= 1;
    try (Store store = open("t")) {
      store.put(key(3), value(9));
      DumpDamagedException found =
          assertThrows(DumpDamagedException.class, () -> Dump.read(in(dump), store));
      assertEquals(3, found.entriesImported(), found::getMessage);
      assertEquals(large, found.offset());
      assertTrue(
          String.valueOf(found.getMessage()).contains("3 entries were written"), found::getMessage);
      assertHolds(store, 0, 3);
      assertArrayEquals(value(9), store.get(key(3)), "half of a value was written");
      assertNull(store.get(key(4)));
    }
  }

  // ---------------------------------------------------------------- made up

  private record Part(int from, int to) {}

  private static List<Part> partsOf(byte[] dump) {
    List<Part> parts = new ArrayList<>();
    ByteBuffer in = ByteBuffer.wrap(dump).order(ByteOrder.LITTLE_ENDIAN);
    for (int at = 28; at < dump.length; ) {
      int to = at + 13 + in.getInt(at + 9) + 4;
      parts.add(new Part(at, to));
      at = to;
    }
    return parts;
  }

  /** A dump of parts of another, in any order. */
  private static byte[] of(byte[] dump, int... which) {
    List<Part> parts = partsOf(dump);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(dump, 0, 28);
    for (int each : which) {
      out.write(dump, parts.get(each).from, parts.get(each).to - parts.get(each).from);
    }
    return out.toByteArray();
  }

  @Test
  void partsCannotBeLeftOutDoubledMovedOrTakenFromElsewhere() throws Exception {
    byte[] dump;
    byte[] other;
    try (Store store = open("s")) {
      fill(store, 0, 3);
      dump = dump(store);
      other = dump(store);
    }
    assertEquals(3, Dump.verify(in(of(dump, 0, 1, 2, 3, 4))).entries());
    for (int[] wrong :
        new int[][] {
          {0, 1, 2, 4}, {0, 1, 1, 2, 3, 4}, {0, 2, 1, 3, 4}, {1, 2, 3, 4}, {0, 1, 2, 3}, {4}, {}
        }) {
      assertThrows(
          DumpDamagedException.class,
          () -> Dump.verify(in(of(dump, wrong))),
          Arrays.toString(wrong));
    }
    byte[] spliced = of(dump, 0, 1, 2, 3, 4);
    Part part = partsOf(dump).get(2);
    System.arraycopy(other, part.from, spliced, part.from, part.to - part.from);
    assertThrows(DumpDamagedException.class, () -> Dump.verify(in(spliced)));
  }

  /** One that somebody made who knows the format. */
  static final class Forged {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final byte[] id = new byte[16];
    private long number;

    Forged() {
      out.writeBytes("HOLDFAST".getBytes(StandardCharsets.US_ASCII));
      out.writeBytes(new byte[] {1, 0, 0, 0});
      out.writeBytes(id);
    }

    Forged part(int type, byte[] payload) {
      return part(type, payload, payload.length);
    }

    Forged part(int type, byte[] payload, int length) {
      ByteBuffer part = ByteBuffer.allocate(13 + payload.length).order(ByteOrder.LITTLE_ENDIAN);
      part.put((byte) type).putLong(number++).putInt(length).put(payload);
      CRC32C crc = new CRC32C();
      crc.update(id);
      crc.update(part.array());
      out.writeBytes(part.array());
      out.writeBytes(
          ByteBuffer.allocate(4)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putInt((int) crc.getValue())
              .array());
      return this;
    }

    Forged head() {
      return part(1, new byte[16]);
    }

    Forged entry(String key, int valueLength, int bytes) {
      ByteBuffer payload =
          ByteBuffer.allocate(6 + key.length() + bytes).order(ByteOrder.LITTLE_ENDIAN);
      payload.putShort((short) key.length()).putInt(valueLength);
      payload.put(key.getBytes(StandardCharsets.US_ASCII));
      return part(2, payload.array());
    }

    Forged end(long entries, long bytes) {
      return part(
          4,
          ByteBuffer.allocate(16)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(entries)
              .putLong(bytes)
              .array());
    }

    byte[] bytes() {
      return out.toByteArray();
    }
  }

  static List<Forged> forgeries() {
    return List.of(
        new Forged().head().entry("a", -1, 0).end(1, 1),
        new Forged().head().entry("a", Integer.MAX_VALUE, 10).end(1, 1),
        new Forged().head().entry("a", 1 << 30, 10).end(1, 1),
        new Forged().head().entry("", 1, 1).end(1, 1),
        new Forged().head().entry("k".repeat(5_000), 1, 1).end(1, 5_001),
        new Forged().head().entry("a", 1, 2).end(1, 2),
        new Forged().head().entry("a", 2, 1).end(1, 2),
        new Forged().head().entry("b", 1, 1).entry("a", 1, 1).end(2, 4),
        new Forged().head().entry("a", 1, 1).entry("a", 1, 1).end(2, 4),
        new Forged().head().part(2, new byte[] {40, 0}).end(0, 0),
        new Forged().head().part(2, new byte[] {40, 0, 1, 0, 0, 0}).end(0, 0),
        new Forged().head().part(3, new byte[10]).end(0, 0),
        new Forged().head().part(9, new byte[10]).end(0, 0),
        new Forged().head().part(2, new byte[10], Integer.MAX_VALUE).end(0, 0),
        new Forged().head().part(2, new byte[10], -5).end(0, 0),
        new Forged().head().part(2, new byte[70_000]).end(0, 0),
        new Forged().head().entry("a", 1, 1).end(2, 2),
        new Forged().head().entry("a", 1, 1).end(1, 3),
        new Forged().head().part(4, new byte[3]),
        new Forged().head().end(0, 0).end(0, 0),
        new Forged().head().head().end(0, 0),
        new Forged().part(1, new byte[3]).end(0, 0),
        new Forged().end(0, 0),
        new Forged());
  }

  @ParameterizedTest
  @MethodSource("forgeries")
  void whatIsMadeUpIsFoundOut(Forged forged) {
    assertThrows(DumpDamagedException.class, () -> Dump.verify(in(forged.bytes())));
  }

  @Test
  void whatIsMadeUpAsItShouldBeIsADump() throws Exception {
    byte[] dump = new Forged().head().entry("a", 1, 1).entry("b", 0, 0).end(2, 3).bytes();
    assertEquals(new Dump.Summary(2, 3), Dump.verify(in(dump)));
    dump[8] = 3;
    DumpDamagedException other =
        assertThrows(DumpDamagedException.class, () -> Dump.verify(in(dump)));
    assertTrue(String.valueOf(other.getMessage()).contains("version"), other::getMessage);
  }

  @Test
  void whatIsMadeUpOfMapsIsFoundOut() throws Exception {
    byte[] m = {0, 'm'};
    byte[] good =
        new Forged().head().entry("b", 1, 1).part(5, m).entry("a", 1, 1).end(2, 4).bytes();
    assertThrows(DumpDamagedException.class, () -> Dump.verify(in(good)), "of version 1");
    good[8] = 2;
    assertEquals(new Dump.Summary(2, 4), Dump.verify(in(good)));
    List<Forged> bad =
        List.of(
            new Forged().head().part(5, m).part(5, m).end(0, 0),
            new Forged().head().part(5, new byte[] {2, 'm'}).end(0, 0),
            new Forged().head().part(5, new byte[] {0}).end(0, 0),
            new Forged().head().part(5, new byte[0]).end(0, 0),
            new Forged().head().part(5, new byte[257]).end(0, 0),
            new Forged().part(5, m).head().end(0, 0),
            new Forged().head().part(5, new byte[] {1, 'm'}).entry("a", 7, 7).end(1, 8),
            new Forged().head().part(5, m).entry("b", 1, 1).entry("a", 1, 1).end(2, 4));
    for (Forged each : bad) {
      byte[] dump = each.bytes();
      dump[8] = 2;
      assertThrows(DumpDamagedException.class, () -> Dump.verify(in(dump)));
    }
  }
}
