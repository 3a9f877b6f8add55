package dev.holdfast.rules;

import static dev.holdfast.rules.Entries.assertHolds;
import static dev.holdfast.rules.Entries.put;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import dev.holdfast.error.FormatVersionException;
import dev.holdfast.volume.VolumeLayout;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** T11: what another version wrote is said as such, and is not touched. */
final class T11FormatTest {
  /** Device offset 0 lies behind the label. */
  private static final int LABEL = 64 << 10;

  private static final int VERSION_AT = 8;
  private static final int LENGTH_AT = 12;
  private static final int CRC_AT = 16;
  private static final int HEADER = 20;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Path made(int legs) {
    Path path = directory.resolve("s");
    var builder = Store.builder(path).initialCapacity(2 << 20);
    try (Store store = (legs == 1 ? builder.single() : builder).open()) {
      put(store, 0, 20);
    }
    return path;
  }

  /** Gives every superblock of a leg another version, and makes it whole again. */
  private static void setVersion(Path leg, int version) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(leg.toFile(), "rw")) {
      for (int copy = 0; copy < VolumeLayout.SUPERBLOCK_COPIES; copy++) {
        byte[] bytes = new byte[VolumeLayout.SUPERBLOCK_SIZE];
        file.seek(LABEL + (long) copy * VolumeLayout.SUPERBLOCK_SIZE);
        file.readFully(bytes);
        ByteBuffer block = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int length = block.getInt(LENGTH_AT);
        if (length > 0) {
          block.putInt(VERSION_AT, version);
          CRC32C crc = new CRC32C();
          crc.update(bytes, 0, CRC_AT);
          crc.update(bytes, HEADER, length);
          block.putInt(CRC_AT, (int) crc.getValue());
          file.seek(LABEL + (long) copy * VolumeLayout.SUPERBLOCK_SIZE);
          file.write(bytes);
        }
      }
    }
  }

  private static List<byte[]> bytes(Path store) throws IOException {
    return List.of(
        Files.readAllBytes(CrashImage.leg(store, 0)), Files.readAllBytes(store.resolve("witness")));
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        VolumeLayout.FORMAT_VERSION - 1,
        VolumeLayout.FORMAT_VERSION + 1,
        Integer.MAX_VALUE,
        -1
      })
  void anotherVersionIsATypedErrorAndNothingIsTouched(int version) throws IOException {
    Path path = made(1);
    setVersion(CrashImage.leg(path, 0), version);
    List<byte[]> before = bytes(path);
    for (Runnable open :
        List.<Runnable>of(
            () -> Store.open(path).close(),
            () -> Store.builder(path).readOnly().open().close(),
            () -> Store.builder(path).openDegraded().open().close())) {
      FormatVersionException e = assertThrows(FormatVersionException.class, open::run);
      String message = String.valueOf(e.getMessage());
      assertTrue(message.contains("expected version " + VolumeLayout.FORMAT_VERSION), message);
      assertTrue(message.contains("was " + version), message);
    }
    List<byte[]> after = bytes(path);
    for (int i = 0; i < before.size(); i++) {
      assertTrue(Arrays.equals(before.get(i), after.get(i)), "a file was changed");
    }
    setVersion(CrashImage.leg(path, 0), VolumeLayout.FORMAT_VERSION);
    try (Store store = Store.open(path)) {
      assertHolds(store, 0, 20);
    }
  }

  @Test
  void otherVersionOnAllLegsOfAMirrorIsATypedError() throws IOException {
    Path path = made(2);
    for (int leg = 0; leg < 2; leg++) {
      setVersion(CrashImage.leg(path, leg), VolumeLayout.FORMAT_VERSION + 1);
    }
    assertThrows(FormatVersionException.class, () -> Store.open(path).close());
    for (int leg = 0; leg < 2; leg++) {
      setVersion(CrashImage.leg(path, leg), VolumeLayout.FORMAT_VERSION);
    }
    try (Store store = Store.open(path)) {
      assertHolds(store, 0, 20);
      assertEquals(20, store.stats().entries());
    }
  }
}
