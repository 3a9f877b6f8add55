package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ByteSizeTest {
  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "4096, 4096",
    "64K, 65536",
    "64M, 67108864",
    "64m, 67108864",
    "1G, 1073741824",
    "8589934591G, 9223372035781033984"
  })
  void unitsArePowersOf1024(String text, long bytes) {
    assertEquals(bytes, ByteSize.parse(text).bytes());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0", "0M", "-1", "1T", "M", "1.5G", "1 G", "8589934592G"})
  void whatIsNoSizeIsNamedInTheError(String text) {
    var e = assertThrows(IllegalArgumentException.class, () -> ByteSize.parse(text));
    assertTrue(String.valueOf(e.getMessage()).contains("'" + text + "'"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(strings = {"1", "1023", "1K", "1536K", "64M", "1G", "3G"})
  void textIsTheShortestThatMeansTheSame(String text) {
    assertEquals(text, ByteSize.parse(text).toString());
  }

  @Test
  void sizesCompareByBytes() {
    assertTrue(ByteSize.parse("1023M").compareTo(ByteSize.GIB) < 0);
    assertTrue(ByteSize.parse("1G").compareTo(ByteSize.GIB) == 0);
  }
}
