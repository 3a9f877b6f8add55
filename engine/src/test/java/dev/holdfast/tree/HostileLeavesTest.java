package dev.holdfast.tree;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Leaves, records, blob lists and rows made up by somebody who knows the secret of the store. */
final class HostileLeavesTest {
  private static final int KEYS = 300;
  private static final int LABEL = 64 << 10;
  private static final int ROUNDS = 60;

  @TempDir Path directory;

  private final CRC32C crc = new CRC32C();

  private byte[] whole = {};
  private String witness = "";

  /** The same store once its leaves have records in the short form. */
  private byte[] packed = {};

  private String packedWitness = "";
  private byte[] bytes = {};
  private long secret;
  private Random random = new Random();

  private static byte[] key(int i) {
    return String.format("key-%05d", i).getBytes(UTF_8);
  }

  private static byte[] value(int i) {
    return ("value-" + i + "-".repeat(i % 10 == 0 ? 3_000 : i)).getBytes(UTF_8);
  }

  private Path leg() {
    return directory.resolve("s").resolve("leg-0.pmem");
  }

  @BeforeEach
  void fill() throws IOException {
    Path path = directory.resolve("s");
    try (Store store = Store.builder(path).single().initialCapacity(4 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        int mixed = i * 7 % KEYS;
        store.put(key(mixed), value(mixed));
      }
    }
    whole = Files.readAllBytes(leg());
    witness = Files.readString(path.resolve("witness"));
    secret = Long.parseUnsignedLong(witness.split(" ", -1)[5], 16);
    try (Store store = Store.open(path)) {
      assertTrue(store.compact().complete());
    }
    packed = Files.readAllBytes(leg());
    packedWitness = Files.readString(path.resolve("witness"));
  }

  /**
   * Forges something in each round, and looks at what the store makes of it.
   *
   * @param ofRows whether it is about the rows of several leaves
   */
  private void rounds(String name, boolean ofRows, Runnable forge) throws IOException {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println(name + ": -Dseed=" + seed);
    random = new Random(seed);
    for (int round = 0; round < ROUNDS; round++) {
      boolean isPacked = !ofRows && random.nextBoolean(); // Compacted, it has one row.
      bytes = (isPacked ? packed : whole).clone();
      for (int i = random.nextInt(4); i >= 0; i--) {
        forge.run();
      }
      Files.write(leg(), bytes);
      Files.writeString(
          directory.resolve("s").resolve("witness"), isPacked ? packedWitness : witness);
      assertTimeoutPreemptively(Duration.ofSeconds(30), this::tryOut, "round " + round);
    }
  }

  // ---------------------------------------------------------------- what is where

  private int place(int at, long generation) {
    return RecordLayout.place(secret, at - LABEL, generation);
  }

  private int pickLeaf() {
    List<Integer> leaves = new ArrayList<>();
    for (int at = LABEL + (int) VolumeLayout.RECORDS_OFFSET;
        at < bytes.length;
        at += PageMap.PAGE) {
      byte[] page = Arrays.copyOfRange(bytes, at, at + PageMap.PAGE);
      long generation = RecordLayout.getLong(page, 8);
      if (generation > 0 && LeafLayout.isIntact(page, crc, place(at, generation), generation)) {
        leaves.add(at);
      }
    }
    return leaves.isEmpty() ? -1 : leaves.get(random.nextInt(leaves.size()));
  }

  /** The first row of the first chunk; both copies follow each other. */
  private int chunk() {
    for (int at = LABEL + (int) VolumeLayout.RECORDS_OFFSET;
        at < bytes.length;
        at += PageMap.PAGE) {
      if (LeafTable.isHead(Arrays.copyOfRange(bytes, at, at + LeafTable.UNIT), place(at, 0))) {
        return at;
      }
    }
    throw new AssertionError("no chunk");
  }

  // ---------------------------------------------------------------- forging

  @Test
  void recordsWithOddFieldsAndGoodChecksumsAreNeverAWrongValue() throws IOException {
    rounds("recordsWithOddFields", false, this::forgeRecord);
  }

  private void forgeRecord() {
    int leaf = pickLeaf();
    if (leaf < 0) {
      return;
    }
    long generation = RecordLayout.getLong(bytes, leaf + 8);
    int at = leaf + random.nextInt(2 * PageMap.PAGE) / RecordLayout.GRANULE * RecordLayout.GRANULE;
    int number = random.nextInt(KEYS);
    boolean known = random.nextBoolean();
    byte[] user = known ? key(number) : "odd".getBytes(UTF_8);
    byte[] key = new byte[user.length + Scratch.KEY_PREFIX];
    System.arraycopy(user, 0, key, Scratch.KEY_PREFIX, user.length);
    long[] sequences = {0, 1, 30, 500, generation, generation + 1, (1L << 56) - 1, 1L << 40};
    long sequence = sequences[random.nextInt(sequences.length)];
    byte[] record = new byte[RecordLayout.MAX_RECORD];
    switch (random.nextInt(4)) {
      case 0 -> {
        RecordLayout.begin(record, 0, key, key.length, 0, sequence, RecordLayout.TOMBSTONE);
      }
      case 1 -> {
        byte[] value = known && number % 10 != 0 ? value(number) : new byte[10];
        int type = known && number % 10 != 0 ? RecordLayout.VALUE : 1 + random.nextInt(255);
        RecordLayout.begin(record, 0, key, key.length, value.length, sequence, type);
        System.arraycopy(value, 0, record, RecordLayout.inlineAt(record, 0), value.length);
        if (known && number % 10 == 0 && type == RecordLayout.VALUE) {
          return; // That would be a value that the store cannot tell from its own.
        }
      }
      default -> forgeBlob(record, key, sequence);
    }
    RecordLayout.seal(record, 0, crc, place(at, generation));
    int size = RecordLayout.size(record, 0);
    if (random.nextInt(3) == 0) {
      int prefix = random.nextInt(Math.min(key.length, PackedLayout.MAX_PREFIX) + 1);
      size = PackedLayout.sizeOf(record, 0, prefix);
      byte[] form = new byte[RecordLayout.MAX_RECORD];
      PackedLayout.pack(record, 0, form, 0, prefix);
      record = form;
    }
    System.arraycopy(record, 0, bytes, at, Math.min(size, bytes.length - at));
  }

  private void forgeBlob(byte[] record, byte[] key, long sequence) {
    int[] counts = {-1, 0, 1, 2, 64, 65, Integer.MAX_VALUE};
    long[] lengths = {-1, 0, 1, 4_096, 1 << 20, 1 << 30, 1L << 31, 1L << 40, Long.MIN_VALUE};
    int[] pages = {0, -1, 256, 300, 1_000, Integer.MAX_VALUE, Integer.MIN_VALUE};
    int count = counts[random.nextInt(counts.length)];
    int extents = Math.clamp(count, 0, RecordLayout.MAX_EXTENTS);
    int inline = random.nextInt(8) == 0 ? random.nextInt(16) : 16 + 8 * extents;
    RecordLayout.begin(record, 0, key, key.length, inline, sequence, RecordLayout.BLOB);
    int at = RecordLayout.inlineAt(record, 0);
    RecordLayout.putLong(record, at, lengths[random.nextInt(lengths.length)]);
    RecordLayout.putInt(record, at + 8, random.nextInt());
    RecordLayout.putInt(record, at + 12, count);
    for (int i = 0; i < extents; i++) {
      RecordLayout.putInt(record, at + 16 + 8 * i, pages[random.nextInt(pages.length)]);
      RecordLayout.putInt(record, at + 20 + 8 * i, pages[random.nextInt(pages.length)]);
    }
  }

  @Test
  void leavesWithOddHeadersAndGoodChecksumsAreNeverAWrongValue() throws IOException {
    rounds("leavesWithOddHeaders", false, this::forgeLeaf);
  }

  private void forgeLeaf() {
    int at = pickLeaf();
    if (at < 0) {
      return;
    }
    long generation = RecordLayout.getLong(bytes, at + 8);
    int[] odd = {-1, 0, 1, 47, 48, 4_096, 1 << 20, Integer.MAX_VALUE, Integer.MIN_VALUE};
    byte[] head = Arrays.copyOfRange(bytes, at, at + PageMap.PAGE);
    byte[] separator = LeafLayout.separator(head);
    if (random.nextInt(3) == 0) {
      separator = key(random.nextInt(KEYS));
    }
    byte[] forged = new byte[LeafLayout.MAX_BYTES];
    LeafLayout.seal(
        forged,
        crc,
        place(at, generation),
        generation,
        odd[random.nextInt(odd.length)],
        odd[random.nextInt(odd.length)],
        odd[random.nextInt(odd.length)],
        separator);
    System.arraycopy(forged, 0, bytes, at, LeafLayout.HEADER + separator.length);
  }

  @Test
  void rowsWithOddFieldsAndGoodChecksumsAreTypedErrorsOrNeverAWrongValue() throws IOException {
    rounds("rowsWithOddFields", true, this::forgeRow);
  }

  private void forgeRow() {
    int chunk = chunk();
    List<Integer> rows = new ArrayList<>();
    for (int unit = 1; unit < LeafTable.UNITS; unit++) {
      int at = unit * LeafTable.UNIT;
      byte[] copy = Arrays.copyOfRange(bytes, chunk, chunk + LeafTable.CHUNK_BYTES);
      if (LeafTable.isStatic(copy, at, crc, place(chunk + at + LeafTable.STATIC_CRC_AT, 0))) {
        rows.add(chunk + at);
      }
      if (unit > 40) {
        break;
      }
    }
    assertTrue(rows.size() > 1, "rows");
    int row = rows.get(random.nextInt(rows.size()));
    int slot = row + random.nextInt(2) * LeafTable.SLOT;
    long[] generations = {-1, 0, 1, 200, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 36};
    int[] pages = {-1, 0, 1, 256, 257, 300, 1_000, 1_279, Integer.MAX_VALUE};
    int other = rows.get(random.nextInt(rows.size()));
    switch (random.nextInt(6)) {
      case 0 -> RecordLayout.putInt(bytes, slot + 4, pages[random.nextInt(pages.length)]);
      case 1 -> RecordLayout.putLong(bytes, slot + 8, generations[random.nextInt(7)]);
      case 2 -> bytes[slot + 16] = (byte) random.nextInt(256);
      case 3 -> bytes[slot + 17] = (byte) random.nextInt(256);
      case 4 -> RecordLayout.putShort(bytes, slot + 18, random.nextInt(1 << 16));
      default -> System.arraycopy(bytes, other, bytes, slot, LeafTable.SLOT);
    }
    RecordLayout.putInt(bytes, slot + 20, (other - chunk) / LeafTable.UNIT);
    crc.reset();
    crc.update(bytes, slot + 4, LeafTable.SLOT - 4);
    RecordLayout.putInt(bytes, slot, (int) crc.getValue() ^ place(slot, 0));
    if (random.nextInt(3) == 0) {
      RecordLayout.putInt(bytes, row + LeafTable.LEFT_AT, random.nextInt(8) - 2);
      RecordLayout.putLong(
          bytes, row + LeafTable.LEFT_GENERATION_AT, generations[random.nextInt(7)]);
      int length = RecordLayout.getShort(bytes, row + LeafTable.SEPARATOR_LENGTH_AT);
      crc.reset();
      crc.update(
          bytes,
          row + LeafTable.SEPARATOR_LENGTH_AT,
          LeafTable.SEPARATOR_AT + length - LeafTable.SEPARATOR_LENGTH_AT);
      RecordLayout.putInt(
          bytes,
          row + LeafTable.STATIC_CRC_AT,
          (int) crc.getValue() ^ place(row + LeafTable.STATIC_CRC_AT, 0));
    }
    System.arraycopy(bytes, chunk, bytes, chunk + LeafTable.CHUNK_BYTES, LeafTable.CHUNK_BYTES);
  }

  @Test
  void rootsThatNameOddChunksAreTypedErrors() throws IOException {
    int[] pages = {0, 1, 255, 256, 257, 300, 1_000, -1, Integer.MAX_VALUE};
    rounds(
        "rootsThatNameOddChunks",
        true,
        () -> {
          int index = random.nextInt(3);
          for (int copy = 0; copy < 2; copy++) {
            int at =
                LABEL
                    + (int) LeafTable.rootEntryAt(index)
                    + copy * VolumeLayout.TABLE_ROOT_SIZE / 2;
            RecordLayout.putInt(bytes, at + 4, pages[random.nextInt(pages.length)]);
            crc.reset();
            crc.update(bytes, at + 4, LeafTable.ROOT_ENTRY - 4);
            int place = place(LABEL + (int) LeafTable.rootEntryAt(index), 0);
            RecordLayout.putInt(bytes, at, (int) crc.getValue() ^ place);
          }
        });
  }

  /** A row that is damaged in both copies is named: its range, where that is known. */
  @Test
  void rowsThatAreDamagedInBothCopiesAreNamed() throws IOException {
    for (int field : new int[] {4, LeafTable.STATIC_CRC_AT, LeafTable.SEPARATOR_AT}) {
      bytes = whole.clone();
      int chunk = chunk();
      int row = chunk + LeafTable.UNIT;
      while (RecordLayout.getShort(bytes, row + LeafTable.SEPARATOR_LENGTH_AT) == 0) {
        row += 2 * LeafTable.UNIT;
      }
      int apart = field == 4 ? LeafTable.SLOT : 0; // either slot may be the current one
      for (int at = row + field; at <= row + field + apart; at += LeafTable.SLOT) {
        bytes[at] ^= 1;
        bytes[at + LeafTable.CHUNK_BYTES] ^= 1;
      }
      Files.write(leg(), bytes);
      Files.writeString(directory.resolve("s").resolve("witness"), witness);
      for (int open = 0; open < 2; open++) {
        try (Store store = Store.open(directory.resolve("s"))) {
          int lost = 0;
          for (int i = 0; i < KEYS; i++) {
            try {
              assertArrayEquals(value(i), store.get(key(i)), "key " + i);
            } catch (DataLostException e) {
              lost++;
            }
          }
          assertTrue(lost > 0 && lost < KEYS, "lost " + lost);
          assertTrue(!store.health().lost().isEmpty());
        }
      }
    }
  }

  // ---------------------------------------------------------------- what the store makes of it

  private void tryOut() {
    try (Store store = Store.builder(directory.resolve("s")).maxCapacity(16 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        look(store, i);
      }
      walk(store);
      for (int i = 0; i < 20; i++) {
        store.put(key(KEYS + i), value(i));
        assertArrayEquals(value(i), store.get(key(KEYS + i)));
      }
      for (int i = 0; i < KEYS; i += 7) {
        store.put(key(i), value(i));
        assertArrayEquals(value(i), store.get(key(i)));
      }
      for (int i = 3; i < KEYS; i += 7) {
        boolean _ = store.remove(key(i));
        assertEquals(null, store.get(key(i)));
      }
    } catch (HoldfastException e) {
      assertTrue(String.valueOf(e.getMessage()).length() > 10, e.toString());
    }
  }

  private void look(Store store, int i) {
    try {
      byte[] found = store.get(key(i));
      // Who knows the secret can put a record of his own over another, or remove it.
      if (found != null) {
        assertArrayEquals(value(i), found, "key " + i);
      }
    } catch (DataLostException e) {
      assertTrue(!store.health().lost().isEmpty(), "lost and not named");
    }
  }

  /** However odd it is, a walk ends. */
  private static void walk(Store store) {
    for (boolean reverse : new boolean[] {false, true}) {
      int steps = 0;
      try (Cursor cursor =
          reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
        while (true) {
          try {
            if (!cursor.next()) {
              break;
            }
          } catch (DataLostException e) {
            // It goes on behind what was lost.
          }
          assertTrue(++steps < 100_000, "a walk without an end");
        }
      }
    }
  }
}
