package dev.holdfast.volume;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.InvalidImageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class WitnessFileTest {
  @TempDir Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("witness");
  }

  @Test
  void whatIsWrittenIsReadAndReplaced() {
    assertEquals(Optional.empty(), Witness.read(file));
    Witness first = new Witness(Configs.STORE, new Epoch(5, -6), -7);
    first.write(file);
    assertEquals(Optional.of(first), Witness.read(file));
    Witness second = Witness.of(Configs.mirror());
    second.write(file);
    assertEquals(Optional.of(second), Witness.read(file));
  }

  @Test
  void everyChangedByteIsATypedError() throws IOException {
    Witness.of(Configs.mirror()).write(file);
    byte[] good = Files.readAllBytes(file);
    for (int at = 0; at < good.length - 1; at++) {
      byte[] bad = good.clone();
      bad[at] ^= 1;
      Files.write(file, bad);
      assertThrows(InvalidImageException.class, () -> Witness.read(file), "byte " + at);
    }
    Files.writeString(file, "x".repeat(5_000));
    assertThrows(InvalidImageException.class, () -> Witness.read(file));
    Files.writeString(file, "");
    assertThrows(InvalidImageException.class, () -> Witness.read(file));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "holdfast-witness 1 no-uuid 5 6 7",
        "holdfast-witness 1 00000000-0000-0001-0000-000000000002 x 6 7",
        "holdfast-witness 1 00000000-0000-0001-0000-000000000002 5 zz 7",
        "holdfast-witness 1 00000000-0000-0001-0000-000000000002 5 6 -"
      })
  void hostileFieldsWithARightChecksumAreATypedError(String body) throws IOException {
    CRC32C crc = new CRC32C();
    crc.update(body.getBytes(US_ASCII));
    Files.writeString(file, body + " " + Long.toHexString(crc.getValue()) + "\n");
    InvalidImageException e = assertThrows(InvalidImageException.class, () -> Witness.read(file));
    assertTrue(String.valueOf(e.getMessage()).contains("expected"));
  }
}
