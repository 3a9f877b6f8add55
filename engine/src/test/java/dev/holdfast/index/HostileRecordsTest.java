package dev.holdfast.index;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Heads of records made up by somebody who knows the secret of the store. */
final class HostileRecordsTest {
  private static final int KEYS = 60;
  private static final int LABEL = 64 << 10;

  @TempDir Path directory;

  private static byte[] key(int i) {
    return ("key-" + i).getBytes(UTF_8);
  }

  private static byte[] value(int i) {
    return ("value-" + i + "-".repeat(i)).getBytes(UTF_8);
  }

  @Test
  void headsWithOddFieldsAndGoodChecksumsAreNeverAWrongValue() throws IOException {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("headsWithOddFieldsAndGoodChecksums: -Dseed=" + seed);
    Random random = new Random(seed);
    Path path = directory.resolve("s");
    try (Store store = Store.builder(path).single().initialCapacity(2 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(i));
      }
    }
    byte[] whole = Files.readAllBytes(path.resolve("leg-0.pmem"));
    String witness = Files.readString(path.resolve("witness"));
    long secret = Long.parseUnsignedLong(witness.split(" ", -1)[5], 16);
    for (int round = 0; round < 100; round++) {
      Files.write(path.resolve("leg-0.pmem"), whole);
      Files.writeString(path.resolve("witness"), witness);
      try (RandomAccessFile file =
          new RandomAccessFile(path.resolve("leg-0.pmem").toFile(), "rw")) {
        for (int i = random.nextInt(5); i >= 0; i--) {
          forge(file, random, secret);
        }
      }
      assertTimeoutPreemptively(Duration.ofSeconds(20), () -> tryOut(path));
    }
  }

  /** A head at a place where one may be, whose fields say what no writer would. */
  private static void forge(RandomAccessFile file, Random random, long secret) throws IOException {
    long offset = VolumeLayout.RECORDS_OFFSET + random.nextInt(400) * (long) RecordFormat.GRANULE;
    int[] lengths = {-1, 0, 1, 5, 4096, 4097, 1 << 20, 1 << 30, Integer.MAX_VALUE, -1 << 31};
    long[] sequences = {0, 1, 30, -1, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 36, 1L << 62};
    byte[] key = random.nextBoolean() ? key(random.nextInt(KEYS)) : "odd".getBytes(UTF_8);
    ByteBuffer head =
        ByteBuffer.allocate(RecordFormat.HEADER_LENGTH + key.length).order(ByteOrder.LITTLE_ENDIAN);
    boolean freed = random.nextInt(4) == 0;
    head.putInt(
        RecordFormat.MAGIC_AT, freed ? RecordFormat.FREED_MAGIC : RecordFormat.RECORD_MAGIC);
    head.putLong(RecordFormat.SEQUENCE_AT, sequences[random.nextInt(sequences.length)]);
    head.putInt(
        RecordFormat.KEY_LENGTH_AT,
        random.nextBoolean() ? key.length : lengths[random.nextInt(lengths.length)]);
    head.putInt(RecordFormat.VALUE_LENGTH_AT, lengths[random.nextInt(lengths.length)]);
    head.putInt(RecordFormat.VALUE_CRC_AT, random.nextInt());
    head.put(RecordFormat.HEADER_LENGTH, key);
    int covered = freed ? RecordFormat.HEADER_LENGTH : head.capacity();
    head.putInt(
        RecordFormat.CRC_AT, RecordFormat.headCrc(secret, offset, head.array(), 0, covered));
    file.seek(LABEL + offset);
    file.write(head.array(), 0, covered);
  }

  private static void tryOut(Path path) {
    try (Store store = Store.builder(path).maxCapacity(8 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        try {
          byte[] found = store.get(key(i));
          if (found != null) {
            assertArrayEquals(value(i), found, "key " + i);
          }
        } catch (DataLostException e) {
          assertTrue(!store.health().lost().isEmpty(), "lost and not named");
        }
      }
      for (int i = 0; i < 20; i++) {
        store.put(key(KEYS + i), value(i));
        assertArrayEquals(value(i), store.get(key(KEYS + i)));
      }
    } catch (HoldfastException e) {
      assertTrue(String.valueOf(e.getMessage()).length() > 10, e.toString());
    }
  }
}
