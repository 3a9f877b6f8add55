package dev.holdfast.volume;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.FormatVersionException;
import dev.holdfast.error.HoldfastException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Images that were damaged, or made up by somebody who knows the checksums: typed errors in bounded
 * time and memory, never a wrong value.
 */
final class HostileImageTest {
  private static final int KEYS = 100;
  private static final int LABEL = 64 << 10;
  private static final int LENGTH_AT = 12;
  private static final int CRC_AT = 16;
  private static final int HEADER = 20;

  @TempDir Path directory;
  private Path good = Path.of("");

  private static byte[] key(int i) {
    return ("key-" + i).getBytes(UTF_8);
  }

  private static byte[] value(int i) {
    return ("value-" + i + "-".repeat(i)).getBytes(UTF_8);
  }

  @BeforeEach
  void makeAGoodImage() {
    good = directory.resolve("good");
    try (Store store = Store.builder(good).initialCapacity(2 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(i));
      }
    }
  }

  /** A copy of the good image with so many legs. */
  private Path copy(int legs) throws IOException {
    Path to = directory.resolve("image");
    Files.createDirectories(to);
    for (String name : List.of("leg-0.pmem", "leg-1.pmem", "witness")) {
      if (name.equals("leg-1.pmem") && legs == 1) {
        Files.deleteIfExists(to.resolve(name));
      } else {
        Files.copy(good.resolve(name), to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
      }
      Files.deleteIfExists(to.resolve(name + ".badblocks"));
    }
    return to;
  }

  private static byte[] read(Path file, long at, int length) throws IOException {
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "r")) {
      byte[] bytes = new byte[length];
      f.seek(at);
      f.readFully(bytes);
      return bytes;
    }
  }

  private static void write(Path file, long at, byte[] bytes) throws IOException {
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(at);
      f.write(bytes);
    }
  }

  private static void seal(byte[] superblock) {
    int length = ByteBuffer.wrap(superblock).order(ByteOrder.LITTLE_ENDIAN).getInt(LENGTH_AT);
    CRC32C crc = new CRC32C();
    crc.update(superblock, 0, CRC_AT);
    if (length >= 0 && length <= superblock.length - HEADER) {
      crc.update(superblock, HEADER, length);
    }
    ByteBuffer.wrap(superblock).order(ByteOrder.LITTLE_ENDIAN).putInt(CRC_AT, (int) crc.getValue());
  }

  /** Opens, reads everything, writes, closes: every outcome is fine but a wrong one. */
  private static boolean tryOut(Path image, boolean absenceIsWrong) {
    boolean[] opened = new boolean[1];
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> {
          try (Store store = Store.builder(image).maxCapacity(8 << 20).open()) {
            opened[0] = true;
            for (int i = 0; i < KEYS; i++) {
              readOne(store, i, absenceIsWrong);
            }
            try (Cursor cursor = store.cursor(KeyRange.all())) {
              while (cursor.next()) {
                String key = new String(cursor.key(), UTF_8);
                int i = Integer.parseInt(key.substring(4));
                assertArrayEquals(value(i), cursor.value());
              }
            } catch (DataLostException e) {
              assertTrue(!store.health().lost().isEmpty());
            }
            store.put(key(KEYS), value(KEYS));
            assertArrayEquals(value(KEYS), store.get(key(KEYS)));
            store.remove(key(KEYS));
          } catch (HoldfastException e) {
            assertTrue(String.valueOf(e.getMessage()).length() > 10, e.toString());
          }
        });
    return opened[0];
  }

  private static void readOne(Store store, int i, boolean absenceIsWrong) {
    try {
      byte[] found = store.get(key(i));
      if (found != null || absenceIsWrong) {
        assertArrayEquals(value(i), found, "key " + i);
      }
    } catch (DataLostException e) {
      assertTrue(!store.health().lost().isEmpty(), "lost and not named");
    }
  }

  private static long seed(String test) {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println(test + ": -Dseed=" + seed);
    return seed;
  }

  /** Random bytes of one leg of a mirror, in any structure: the other one answers. */
  @Test
  void damageOfOneLegOfAMirrorIsSurvived() throws IOException {
    long seed = seed("damageOfOneLegOfAMirrorIsSurvived");
    Random random = new Random(seed);
    int opened = 0;
    for (int round = 0; round < 80; round++) {
      Path image = copy(2);
      Path leg = image.resolve("leg-" + random.nextInt(2) + ".pmem");
      for (int i = random.nextInt(4); i >= 0; i--) {
        write(leg, place(random), garbage(random, 1 + random.nextInt(200)));
      }
      opened += tryOut(image, true) ? 1 : 0;
    }
    assertTrue(opened > 60, "only " + opened + " of 80 opened");
  }

  @Test
  void damageOfASingleLegIsNeverAWrongValueAndNeverAbsence() throws IOException {
    long seed = seed("damageOfASingleLegIsNeverAWrongValueAndNeverAbsence");
    Random random = new Random(seed);
    Path single = directory.resolve("single");
    try (Store store = Store.builder(single).single().initialCapacity(2 << 20).open()) {
      for (int i = 0; i < KEYS; i++) {
        store.put(key(i), value(i));
      }
    }
    byte[] whole = Files.readAllBytes(single.resolve("leg-0.pmem"));
    byte[] witness = Files.readAllBytes(single.resolve("witness"));
    for (int round = 0; round < 80; round++) {
      Files.write(single.resolve("leg-0.pmem"), whole);
      Files.write(single.resolve("witness"), witness);
      Files.deleteIfExists(single.resolve("leg-0.pmem.badblocks"));
      for (int i = random.nextInt(4); i >= 0; i--) {
        write(
            single.resolve("leg-0.pmem"), place(random), garbage(random, 1 + random.nextInt(200)));
      }
      tryOut(single, true);
    }
  }

  /** Where there is something: labels, superblocks, dirty map, records. */
  private static long place(Random random) {
    return switch (random.nextInt(6)) {
      case 0 -> random.nextInt(LABEL);
      case 1 -> LABEL + random.nextInt(400);
      case 2 -> LABEL + VolumeLayout.SUPERBLOCK_SIZE + random.nextInt(400);
      case 3 -> LABEL + VolumeLayout.DIRTY_MAP_OFFSET + random.nextInt(64);
      default -> LABEL + VolumeLayout.RECORDS_OFFSET + random.nextInt(KEYS * 200);
    };
  }

  private static byte[] garbage(Random random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  /** Whoever can seal can say anything; the store stays typed, bounded, and right or silent. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void superblocksThatWereChangedAndSealedAgainAreTypedErrors(int legs) throws IOException {
    long seed = seed("superblocksThatWereChangedAndSealedAgainAreTypedErrors");
    Random random = new Random(seed);
    for (int round = 0; round < 150; round++) {
      Path image = copy(legs);
      boolean both = random.nextBoolean();
      for (int leg = 0; leg < (both ? legs : 1); leg++) {
        Path file = image.resolve("leg-" + leg + ".pmem");
        byte[] bytes = read(file, LABEL, 1_000);
        int used = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(LENGTH_AT);
        ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = random.nextInt(3); i >= 0; i--) {
          int at = HEADER + random.nextInt(used - 8);
          switch (random.nextInt(4)) {
            case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
            case 1 -> in.putLong(at, random.nextLong());
            case 2 -> in.putInt(at, random.nextBoolean() ? -1 : Integer.MAX_VALUE);
            default -> in.putLong(at, random.nextBoolean() ? Long.MIN_VALUE : Long.MAX_VALUE);
          }
        }
        if (random.nextInt(10) == 0) {
          in.putInt(LENGTH_AT, random.nextInt(1_000));
        }
        seal(bytes);
        write(file, LABEL, bytes);
        write(file, LABEL + VolumeLayout.SUPERBLOCK_SIZE, bytes);
      }
      tryOut(image, false);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, VolumeLayout.FORMAT_VERSION + 1, 99, -1})
  void anotherFormatVersionIsSaidAsSuch(int version) throws IOException {
    Path image = copy(2);
    for (int leg = 0; leg < 2; leg++) {
      Path file = image.resolve("leg-" + leg + ".pmem");
      for (long at : new long[] {LABEL, LABEL + VolumeLayout.SUPERBLOCK_SIZE}) {
        byte[] bytes = read(file, at, 1_000);
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(8, version);
        seal(bytes);
        write(file, at, bytes);
      }
    }
    FormatVersionException e =
        assertThrows(FormatVersionException.class, () -> Store.open(image).close());
    assertTrue(String.valueOf(e.getMessage()).contains(Integer.toString(version)));
  }

  @Test
  void witnessesThatWereChangedAndSealedAgainAreTypedErrorsOrIgnored() throws IOException {
    long seed = seed("witnessesThatWereChangedAndSealedAgainAreTypedErrorsOrIgnored");
    Random random = new Random(seed);
    String[] odd = {"", "x", "-1", "99999999999999999999", "zz", "0", "\u0000", "1 2", "-"};
    for (int round = 0; round < 60; round++) {
      Path image = copy(random.nextInt(3) == 0 ? 1 : 2);
      String line = Files.readString(image.resolve("witness")).trim();
      String[] words = line.substring(0, line.lastIndexOf(' ')).split(" ");
      words[random.nextInt(words.length)] = odd[random.nextInt(odd.length)];
      String body = String.join(" ", words);
      CRC32C crc = new CRC32C();
      crc.update(body.getBytes(StandardCharsets.US_ASCII));
      Files.writeString(
          image.resolve("witness"), body + " " + Long.toHexString(crc.getValue()) + "\n");
      tryOut(image, true);
    }
    Path image = copy(2);
    Files.write(image.resolve("witness"), new byte[1 << 20]);
    assertTrue(tryOut(image, true));
  }

  @Test
  void shortAndLongLegsAreTypedErrors() throws IOException {
    for (int length : new int[] {0, 1, 4095, 4096, 4097, 8192, 1 << 20, (2 << 20) + 4095}) {
      Path image = copy(1);
      try (RandomAccessFile f = new RandomAccessFile(image.resolve("leg-0.pmem").toFile(), "rw")) {
        f.setLength(length);
      }
      tryOut(image, false);
    }
  }
}
