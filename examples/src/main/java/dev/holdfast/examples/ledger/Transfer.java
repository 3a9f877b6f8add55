package dev.holdfast.examples.ledger;

import net.openhft.chronicle.bytes.BytesIn;
import net.openhft.chronicle.bytes.BytesMarshallable;
import net.openhft.chronicle.bytes.BytesOut;

/** A line of the journal. */
final class Transfer implements BytesMarshallable {
  private int from;
  private int to;
  private long cents;

  /** A transfer that is read from bytes next. */
  Transfer() {}

  Transfer(int from, int to, long cents) {
    this.from = from;
    this.to = to;
    this.cents = cents;
  }

  int from() {
    return from;
  }

  int to() {
    return to;
  }

  long cents() {
    return cents;
  }

  @Override
  public void readMarshallable(BytesIn<?> bytes) {
    from = bytes.readInt();
    to = bytes.readInt();
    cents = bytes.readLong();
  }

  @Override
  public void writeMarshallable(BytesOut<?> bytes) {
    bytes.writeInt(from).writeInt(to).writeLong(cents);
  }
}
