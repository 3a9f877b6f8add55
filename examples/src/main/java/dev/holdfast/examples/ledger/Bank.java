package dev.holdfast.examples.ledger;

import dev.holdfast.ReadableMap;
import dev.holdfast.ReadableTypedMap;
import dev.holdfast.Snapshot;
import dev.holdfast.Store;
import dev.holdfast.TypedMap;
import dev.holdfast.TypedRange;
import dev.holdfast.TypedTransactionMap;
import dev.holdfast.codec.Codecs;
import dev.holdfast.codec.Tuple2;
import dev.holdfast.codec.chronicle.MarshallableCodec;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Accounts and a journal, in two maps of a store. A transfer changes two accounts and adds a line
 * to the journal, or does nothing.
 *
 * <p><b>Threads:</b> any.
 */
final class Bank {
  static final long OPENED_CENTS = 10_000;

  private final Store store;
  private final TypedMap<Integer, Account> accounts;

  /** By who made the transfer, and which of his it was. */
  private final TypedMap<Tuple2<Integer, Long>, Transfer> journal;

  Bank(Store store) {
    this.store = store;
    this.accounts = store.map("accounts", Codecs.INTEGER, MarshallableCodec.of(Account::new));
    this.journal =
        store.map(
            "journal",
            Codecs.tuple(Codecs.INTEGER, Codecs.LONG),
            MarshallableCodec.of(Transfer::new));
  }

  void open(int count) {
    for (int number = 0; number < count; number++) {
      accounts.put(number, Account.opened(OPENED_CENTS));
    }
  }

  /**
   * Moves money, if there is enough; whether there was.
   *
   * @param teller who makes the transfer
   * @param number which of his it is
   */
  boolean transfer(int teller, long number, int from, int to, long cents) {
    return store.transact(transaction -> {
      TypedTransactionMap<Integer, Account> within = accounts.in(transaction);
      Account payer = known(from, within.get(from));
      if (payer.cents() < cents) {
        return false;
      }
      within.put(from, payer.plus(-cents));
      within.put(to, known(to, within.get(to)).plus(cents));
      journal.in(transaction).put(new Tuple2<>(teller, number), new Transfer(from, to, cents));
      return true;
    });
  }

  private static Account known(int number, @Nullable Account account) {
    if (account == null) {
      throw new IllegalStateException("account " + number + ": expected one, was none");
    }
    return account;
  }

  /** All the money there is at this moment, in cents. */
  long total() {
    try (Snapshot snapshot = store.snapshot()) {
      return cents(snapshot).values().stream().mapToLong(Long::longValue).sum();
    }
  }

  /** What each account has, at the moment of a snapshot. */
  Map<Integer, Long> cents(Snapshot snapshot) {
    Map<Integer, Long> found = new TreeMap<>();
    try (Stream<Map.Entry<Integer, Account>> all =
        accounts.in(shown(snapshot, "accounts")).stream(TypedRange.all())) {
      all.forEach(entry -> found.put(entry.getKey(), entry.getValue().cents()));
    }
    return found;
  }

  /** What each account must have by the journal, at the moment of a snapshot. */
  Map<Integer, Long> centsByJournal(Snapshot snapshot, int count) {
    Map<Integer, Long> expected = new TreeMap<>();
    for (int number = 0; number < count; number++) {
      expected.put(number, OPENED_CENTS);
    }
    try (Stream<Map.Entry<Tuple2<Integer, Long>, Transfer>> all =
        inJournal(snapshot).stream(TypedRange.all())) {
      all.map(Map.Entry::getValue)
          .forEach(transfer -> {
            expected.merge(transfer.from(), -transfer.cents(), Long::sum);
            expected.merge(transfer.to(), transfer.cents(), Long::sum);
          });
    }
    return expected;
  }

  /** How many lines the journal has. */
  long lines(Snapshot snapshot) {
    try (Stream<?> all = inJournal(snapshot).stream(TypedRange.all())) {
      return all.count();
    }
  }

  /** Whether a transfer is in the journal. */
  boolean hasLine(int teller, long number) {
    return journal.containsKey(new Tuple2<>(teller, number));
  }

  private ReadableTypedMap<Tuple2<Integer, Long>, Transfer> inJournal(Snapshot snapshot) {
    return journal.in(shown(snapshot, "journal"));
  }

  private static ReadableMap shown(Snapshot snapshot, String name) {
    ReadableMap map = snapshot.map(name);
    if (map == null) {
      throw new IllegalStateException("map " + name + ": expected one, was none");
    }
    return map;
  }
}
