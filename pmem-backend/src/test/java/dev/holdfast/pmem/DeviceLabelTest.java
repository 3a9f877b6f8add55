package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.error.FormatVersionException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the first bytes of a device file may be, and what every other content leads to. */
class DeviceLabelTest {
  private static final int USED = 36;

  @TempDir(factory = SharedMemoryDirectory.class)
  Path directory;

  private HoldfastException openingOf(byte[] image) throws IOException {
    Path file = Files.write(directory.resolve("device"), image);
    return assertThrows(
        HoldfastException.class, () -> EmulatedDevice.open(file, PersistenceMode.PROCESS));
  }

  @Test
  void labelIsReadAsItWasWritten() throws IOException {
    UUID id = UUID.randomUUID();
    Path file = Files.write(directory.resolve("device"), new DeviceLabel(id).encode());
    try (EmulatedDevice device = EmulatedDevice.open(file, PersistenceMode.PROCESS)) {
      assertEquals(id, device.id());
      assertEquals(0, device.capacity());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, USED - 1, USED, DeviceLabel.SIZE - 1})
  void truncatedLabelIsAnInvalidImage(int length) throws IOException {
    byte[] label = new DeviceLabel(UUID.randomUUID()).encode();
    assertInstanceOf(InvalidImageException.class, openingOf(Arrays.copyOf(label, length)));
  }

  @Test
  void everyFlippedBitOfTheLabelIsNoticed() throws IOException {
    byte[] label = new DeviceLabel(UUID.randomUUID()).encode();
    for (int bit = 0; bit < USED * 8; bit++) {
      byte[] damaged = label.clone();
      damaged[bit / 8] ^= (byte) (1 << bit % 8);
      assertInstanceOf(InvalidImageException.class, openingOf(damaged), "bit " + bit);
    }
  }

  @Test
  void foreignFileIsAnInvalidImage() throws IOException {
    byte[] foreign = new byte[DeviceLabel.SIZE + 4096];
    Arrays.fill(foreign, (byte) 'x');
    assertInstanceOf(InvalidImageException.class, openingOf(foreign));
    assertInstanceOf(InvalidImageException.class, openingOf(new byte[foreign.length]));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 2, -1, Integer.MAX_VALUE})
  void otherVersionIsNamedInATypedError(int version) throws IOException {
    byte[] label = new DeviceLabel(UUID.randomUUID()).encode();
    ByteBuffer buffer = ByteBuffer.wrap(label).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(8, version);
    CRC32C crc = new CRC32C();
    crc.update(label, 0, 32);
    buffer.putInt(32, (int) crc.getValue());
    HoldfastException e = openingOf(label);
    assertInstanceOf(FormatVersionException.class, e);
    assertEquals(true, e.toString().endsWith("was " + version), e.toString());
  }
}
