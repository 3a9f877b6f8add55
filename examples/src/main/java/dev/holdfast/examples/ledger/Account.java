package dev.holdfast.examples.ledger;

import net.openhft.chronicle.bytes.BytesIn;
import net.openhft.chronicle.bytes.BytesMarshallable;
import net.openhft.chronicle.bytes.BytesOut;

/** What somebody has. It writes itself, in 12 bytes, by Chronicle Bytes. */
final class Account implements BytesMarshallable {
  private long cents;
  private int transfers;

  /** An account that is read from bytes next. */
  Account() {}

  private Account(long cents, int transfers) {
    this.cents = cents;
    this.transfers = transfers;
  }

  static Account opened(long cents) {
    return new Account(cents, 0);
  }

  /** The same, some cents later. */
  Account plus(long more) {
    return new Account(Math.addExact(cents, more), transfers + 1);
  }

  long cents() {
    return cents;
  }

  int transfers() {
    return transfers;
  }

  @Override
  public void readMarshallable(BytesIn<?> bytes) {
    cents = bytes.readLong();
    transfers = bytes.readInt();
  }

  @Override
  public void writeMarshallable(BytesOut<?> bytes) {
    bytes.writeLong(cents).writeInt(transfers);
  }
}
