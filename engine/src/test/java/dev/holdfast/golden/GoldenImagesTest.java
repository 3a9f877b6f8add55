package dev.holdfast.golden;

import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.error.FormatVersionException;
import dev.holdfast.health.StoreState;
import dev.holdfast.rules.FastPlace;
import dev.holdfast.volume.VolumeLayout;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Map;
import java.util.SortedMap;
import java.util.function.UnaryOperator;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Stores of this version of the format, written once and kept, are read: a change of the format
 * without a change of its version fails here.
 */
final class GoldenImagesTest {
  /** Device offset 0 lies behind the label. */
  private static final int LABEL = 64 << 10;

  private static final int VERSION_AT = 8;
  private static final int LENGTH_AT = 12;
  private static final int CRC_AT = 16;
  private static final int HEADER = 20;
  private static final int COMPATIBLE_AT = 20;
  private static final int INCOMPATIBLE_AT = 28;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private SortedMap<byte[], byte[]> expected(GoldenImage image) throws IOException {
    return image.make(directory.resolve("made"), new ByteArrayOutputStream());
  }

  private static void assertHolds(SortedMap<byte[], byte[]> expected, Store store) {
    for (Map.Entry<byte[], byte[]> entry : expected.entrySet()) {
      assertArrayEquals(entry.getValue(), store.get(entry.getKey()));
    }
    for (int number = 0; number < 3_000; number++) {
      byte[] key = GoldenContent.key(number);
      if (!expected.containsKey(key)) {
        assertNull(store.get(key), "entry " + number);
      }
    }
    Iterator<Map.Entry<byte[], byte[]>> entries = expected.entrySet().iterator();
    long visited =
        store.scan(
            KeyRange.all(),
            false,
            (keys, keyAt, keyLength, values, valueAt, valueLength) -> {
              Map.Entry<byte[], byte[]> next = entries.next();
              assertArrayEquals(next.getKey(), Arrays.copyOfRange(keys, keyAt, keyAt + keyLength));
              assertArrayEquals(
                  next.getValue(), Arrays.copyOfRange(values, valueAt, valueAt + valueLength));
              return true;
            });
    assertEquals(expected.size(), visited);
    await().until(() -> store.stats().entriesExact());
    assertEquals(expected.size(), store.stats().entries());
  }

  @ParameterizedTest
  @EnumSource
  void everyEntryIsReadAndTheStoreGoesOn(GoldenImage image) throws IOException {
    SortedMap<byte[], byte[]> expected = expected(image);
    Path path = image.unpack(directory);
    try (Store store = Store.open(path)) {
      assertEquals(StoreState.ONLINE, store.health().state());
      assertEquals(image.legs, store.devices().size());
      assertHolds(expected, store);
      byte[] key = {1, 2, 3};
      byte[] value = GoldenContent.value(9, 9, 3_000);
      store.put(key, value);
      expected.put(key, value);
    }
    try (Store store = Store.open(path)) {
      assertHolds(expected, store);
    }
  }

  @ParameterizedTest
  @EnumSource
  void anotherVersionIsATypedError(GoldenImage image) throws IOException {
    Path path = image.unpack(directory);
    int own = VolumeLayout.FORMAT_VERSION;
    for (int version : new int[] {own - 1, own + 1}) {
      change(path, image, block -> block.putInt(VERSION_AT, version));
      assertRefused(path, "was " + version);
    }
    change(path, image, block -> block.putInt(VERSION_AT, own));
    Store.open(path).close();
  }

  @ParameterizedTest
  @EnumSource
  void anIncompatibleFeatureIsATypedErrorThatNamesIt(GoldenImage image) throws IOException {
    Path path = image.unpack(directory);
    for (int bit : new int[] {3, 17, 63}) {
      change(path, image, block -> block.putLong(INCOMPATIBLE_AT, 1L << bit));
      assertRefused(path, "bit " + bit + " ");
    }
    change(path, image, block -> block.putLong(INCOMPATIBLE_AT, 0));
    Store.open(path).close();
  }

  @ParameterizedTest
  @EnumSource
  void anUnknownCompatibleFeatureIsIgnoredAndKept(GoldenImage image) throws IOException {
    SortedMap<byte[], byte[]> expected = expected(image);
    Path path = image.unpack(directory);
    long unknown = 1L << 63 | 1L << 5;
    change(path, image, block -> block.putLong(COMPATIBLE_AT, unknown));
    try (Store store = Store.open(path)) {
      assertHolds(expected, store);
    }
    change(
        path,
        image,
        block -> {
          assertEquals(unknown, block.getLong(COMPATIBLE_AT), "after a close");
          return block;
        });
  }

  private static void assertRefused(Path path, String said) throws IOException {
    byte[] before = Files.readAllBytes(path.resolve("leg-0.pmem"));
    for (Runnable open :
        new Runnable[] {
          () -> Store.open(path).close(),
          () -> Store.builder(path).readOnly().open().close(),
          () -> Store.builder(path).openDegraded().open().close()
        }) {
      String message =
          String.valueOf(assertThrows(FormatVersionException.class, open::run).getMessage());
      assertTrue(message.contains(said), message);
    }
    assertArrayEquals(before, Files.readAllBytes(path.resolve("leg-0.pmem")), "was changed");
  }

  /** Changes every superblock, and makes it whole again. */
  private static void change(Path path, GoldenImage image, UnaryOperator<ByteBuffer> change)
      throws IOException {
    for (int leg = 0; leg < image.legs; leg++) {
      try (RandomAccessFile file =
          new RandomAccessFile(path.resolve("leg-" + leg + ".pmem").toFile(), "rw")) {
        for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
          long at = LABEL + (long) copy * VolumeLayout.SUPERBLOCK_SIZE;
          byte[] bytes = new byte[VolumeLayout.SUPERBLOCK_SIZE];
          file.seek(at);
          file.readFully(bytes);
          ByteBuffer block = change.apply(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
          CRC32C crc = new CRC32C();
          crc.update(bytes, 0, CRC_AT);
          crc.update(bytes, HEADER, block.getInt(LENGTH_AT));
          block.putInt(CRC_AT, (int) crc.getValue());
          file.seek(at);
          file.write(bytes);
        }
      }
    }
  }
}
