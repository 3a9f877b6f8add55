package dev.holdfast.codec.chronicle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.Store;
import java.nio.file.Path;
import net.openhft.chronicle.bytes.Bytes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class BytesViewTest {
  @TempDir Path directory;

  @Test
  void bytesOnTheHeapAndOffItComeBack() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      Bytes<?> heapKey = Bytes.allocateElasticOnHeap(16);
      Bytes<?> nativeValue = Bytes.allocateElasticDirect(16);
      Bytes<?> into = Bytes.allocateElasticDirect(4);
      try {
        heapKey.append("heap");
        for (int i = 0; i < 500; i++) {
          nativeValue.writeInt(i);
        }
        view.put(heapKey, nativeValue);
        assertEquals(4, heapKey.readRemaining());
        into.writeInt(-1);
        assertTrue(view.get(heapKey, into));
        // Appended, behind what was there.
        assertEquals(-1, into.readInt());
        for (int i = 0; i < 500; i++) {
          assertEquals(i, into.readInt());
        }
        assertEquals(0, into.readRemaining());
        assertTrue(view.remove(heapKey));
        assertFalse(view.remove(heapKey));
        assertFalse(view.get(heapKey, into));
        assertEquals(0, into.readRemaining());
      } finally {
        heapKey.releaseLast();
        nativeValue.releaseLast();
        into.releaseLast();
      }
    }
  }

  @Test
  void onlyTheReadableBytesCount() {
    try (Store store = Store.open(directory.resolve("s"))) {
      BytesView view = BytesView.of(store);
      Bytes<?> key = Bytes.allocateElasticDirect(16);
      Bytes<?> value = Bytes.allocateElasticOnHeap(16);
      Bytes<?> into = Bytes.allocateElasticOnHeap(16);
      try {
        key.append("xxkey").readSkip(2);
        value.append("yyyvalue").readSkip(3);
        view.put(key, value);
        assertTrue(view.get(key, into));
        assertEquals("value", into.toString());
        assertEquals("value", new String(value(store), java.nio.charset.StandardCharsets.US_ASCII));
        value.clear();
        view.put(key, value);
        into.clear();
        assertTrue(view.get(key, into));
        assertEquals(0, into.readRemaining());
      } finally {
        key.releaseLast();
        value.releaseLast();
        into.releaseLast();
      }
    }
  }

  private static byte[] value(Store store) {
    return java.util.Objects.requireNonNull(
        store.get("key".getBytes(java.nio.charset.StandardCharsets.US_ASCII)));
  }
}
