package dev.holdfast.codec.chronicle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;

import dev.holdfast.Store;
import dev.holdfast.TypedMap;
import dev.holdfast.TypedRange;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import net.openhft.chronicle.bytes.Bytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BytesCodecTest {
  private static final BytesCodec CODEC = BytesCodec.of();

  @TempDir Path directory;

  private static Bytes<?> bytes(int... values) {
    Bytes<?> bytes = Bytes.allocateElasticOnHeap();
    for (int value : values) {
      bytes.writeByte((byte) value);
    }
    return bytes;
  }

  @Test
  void theReadableBytesComeBackAndStayReadable() {
    Bytes<?> value = bytes(1, 2, 3, 4);
    value.readSkip(1);
    byte[] encoded = CODEC.encode(value);
    assertArrayEquals(new byte[] {2, 3, 4}, encoded);
    assertEquals(3, value.readRemaining());
    Bytes<?> decoded = CODEC.decode(encoded);
    assertEquals(value, decoded);
    assertNotSame(encoded, CODEC.encode(decoded));
    encoded[0] = 9;
    assertEquals(value, decoded, "it has bytes of its own");
    assertEquals(0, CODEC.decode(new byte[0]).readRemaining());
  }

  @Test
  void theOrderIsThatOfUnsignedBytes() {
    List<Bytes<?>> ascending =
        List.of(
            bytes(),
            bytes(0),
            bytes(0, 0),
            bytes(1),
            bytes(1, 255),
            bytes(127),
            bytes(128),
            bytes(255),
            bytes(255, 0));
    for (int i = 0; i < ascending.size(); i++) {
      for (int j = 0; j < ascending.size(); j++) {
        Bytes<?> a = ascending.get(i);
        Bytes<?> b = ascending.get(j);
        int expected = Integer.compare(i, j);
        assertEquals(expected, Integer.signum(CODEC.comparator().compare(a, b)), a + " and " + b);
        assertEquals(
            expected, Integer.signum(Arrays.compareUnsigned(CODEC.encode(a), CODEC.encode(b))));
      }
    }
  }

  @Test
  void aMapOfThemIsWalkedInTheirOrder() {
    try (Store store = Store.open(directory.resolve("s"))) {
      TypedMap<Bytes<?>, Bytes<?>> map = store.map("bytes", CODEC, CODEC);
      map.put(bytes(200), bytes(2));
      map.put(bytes(100), bytes(1));
      map.put(bytes(100, 0), bytes());
      try (Stream<Map.Entry<Bytes<?>, Bytes<?>>> all = map.stream(TypedRange.atLeast(bytes(100)))) {
        assertEquals(List.of(bytes(1), bytes(), bytes(2)), all.map(Map.Entry::getValue).toList());
      }
      assertEquals(bytes(100, 0), map.asMap().higherKey(bytes(100)));
    }
  }
}
