package dev.holdfast.codec.chronicle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.error.InvalidEncodingException;
import java.util.Arrays;
import net.openhft.chronicle.bytes.BytesIn;
import net.openhft.chronicle.bytes.BytesMarshallable;
import net.openhft.chronicle.bytes.BytesOut;
import org.junit.jupiter.api.Test;

final class MarshallableCodecTest {
  private static final MarshallableCodec<Order> CODEC = MarshallableCodec.of(Order::new);

  /** Something that marshals itself. */
  private static final class Order implements BytesMarshallable {
    private String what = "";
    private long amount;

    @Override
    public void readMarshallable(BytesIn<?> bytes) {
      what = String.valueOf(bytes.readUtf8());
      amount = bytes.readLong();
    }

    @Override
    public void writeMarshallable(BytesOut<?> bytes) {
      bytes.writeUtf8(what);
      bytes.writeLong(amount);
    }
  }

  private static Order order(String what, long amount) {
    Order order = new Order();
    order.what = what;
    order.amount = amount;
    return order;
  }

  @Test
  void whatMarshalsItselfComesBack() {
    for (Order order : new Order[] {order("", 0), order("pears", -1), order("ä\u0800", 1L << 40)}) {
      Order read = CODEC.decode(CODEC.encode(order));
      assertEquals(order.what, read.what);
      assertEquals(order.amount, read.amount);
    }
    assertNull(CODEC.comparator());
  }

  @Test
  void bytesThatItDoesNotReadAreATypedError() {
    byte[] encoded = CODEC.encode(order("pears", 7));
    for (int length = 0; length < encoded.length; length++) {
      byte[] cut = Arrays.copyOf(encoded, length);
      assertThrows(InvalidEncodingException.class, () -> CODEC.decode(cut), "cut at " + length);
    }
    byte[] longer = Arrays.copyOf(encoded, encoded.length + 1);
    assertThrows(InvalidEncodingException.class, () -> CODEC.decode(longer));
  }
}
