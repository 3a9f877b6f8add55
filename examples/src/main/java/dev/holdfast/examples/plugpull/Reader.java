package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import dev.holdfast.codec.chronicle.BytesView;
import net.openhft.chronicle.bytes.Bytes;
import org.jspecify.annotations.Nullable;

/**
 * Reads entries and compares them with the ledger.
 *
 * <p><b>Threads:</b> confined to one.
 */
final class Reader implements AutoCloseable {
  private final BytesView view;
  private final Input input;
  private final Ledger ledger;
  private final Tally tally;
  private final Values values = new Values();
  private final Bytes<?> key = Bytes.allocateElasticDirect();
  private final Bytes<?> value = Bytes.allocateElasticDirect();

  Reader(Store store, Input input, Ledger ledger, Tally tally) {
    this.view = BytesView.of(store);
    this.input = input;
    this.ledger = ledger;
    this.tally = tally;
  }

  /**
   * Reads one acknowledged entry and counts what is not right.
   *
   * @param meter measures the operation, without the comparison; null for no measuring
   * @return whether it was right
   */
  boolean verify(int index, @Nullable Meter meter) {
    int oldest = ledger.acknowledged(index);
    key.clear();
    key.write(input.key(index));
    value.clear();
    boolean found = false;
    Throwable thrown = null;
    long start = meter == null ? 0 : meter.begin();
    try {
      found = view.get(key, value);
    } catch (Throwable t) { // whatever it is, it is the store's answer, and it is counted
      thrown = t;
    }
    if (meter != null) {
      meter.end(start, value.readRemaining(), thrown == null);
    }
    if (thrown != null) {
      tally.readThrew(index, thrown);
      return false;
    }
    if (!found) {
      tally.lost(index, "expected version " + oldest + " or later, was absent");
      tally.silent(index);
      return false;
    }
    String defect = values.check(value, ledger, index, oldest, ledger.issued(index));
    if (defect != null) {
      tally.wrong(index, defect);
      return false;
    }
    return true;
  }

  @Override
  public void close() {
    key.releaseLast();
    value.releaseLast();
  }
}
