package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.ReadGuard;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A transaction that goes on: a snapshot, and of each map what was read of it and what is to be
 * written.
 *
 * <p>The commit is a batch with a {@link ReadGuard}. Behind the guard no writer is at a key that
 * was read, so what the store holds there is what it will hold when the batch shows; if that is
 * what the snapshot holds, all reads are as good as if they had been made then.
 */
final class OpenTransaction implements Transaction {
  private final OpenStore store;
  private final OpenSnapshot snapshot;
  private final TransactionPart own;
  private final Map<MapHome, TransactionPart> parts = new LinkedHashMap<>();
  private boolean ended;

  OpenTransaction(OpenStore store) {
    this.store = store;
    this.snapshot = store.snapshot();
    this.own = part(store);
  }

  void requireGoing() {
    if (ended) {
      throw new IllegalStateException("transaction: expected one that goes on, has ended");
    }
  }

  private TransactionPart part(OpenMap map) {
    MapHome home = map.home();
    MapGate gate = home.gate();
    boolean existed = gate == null || gate.existedAt(snapshot.sequence());
    return parts.computeIfAbsent(
        home,
        _ -> new TransactionPart(this, map, new SnapshotMap(snapshot, home.number(), existed)));
  }

  @Override
  public TransactionMap in(RawMap map) {
    requireGoing();
    OpenMap open = WriteBatch.opened(map);
    if (open.home().tree() != store.home().tree()) {
      throw new IllegalArgumentException(
          "transaction: expected a map of its store, was one of another store");
    }
    TransactionPart part = part(open);
    return open instanceof OpenExpiringMap ? new ExpiringPart(part, snapshot.then()) : part;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return own.get(key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return own.get(key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return own.containsKey(key);
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return own.cursor(range);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return own.reverseCursor(range);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    own.put(key, value);
  }

  @Override
  public void remove(byte[] key) {
    own.remove(key);
  }

  @Override
  public void commit() {
    commit(store.persistence);
  }

  @Override
  public void commit(PersistenceMode mode) {
    requireGoing();
    ended = true;
    try {
      WriteBatch batch = new WriteBatch();
      parts.values().forEach(part -> part.addTo(batch));
      ReadGuard guard = guard();
      if (batch.size() > 0) {
        store.write(batch, mode, guard);
      } else if (guard != null) {
        store.sync(mode); // What was read may not be durable yet.
      }
    } finally {
      snapshot.close();
    }
  }

  private @Nullable ReadGuard guard() {
    List<byte[]> keys = new ArrayList<>();
    boolean walked = false;
    for (TransactionPart part : parts.values()) {
      part.addKeysReadTo(keys);
      walked |= part.hasWalked();
    }
    return keys.isEmpty() && !walked ? null : new ReadGuard(List.copyOf(keys), walked, this::check);
  }

  private void check() {
    parts.values().forEach(TransactionPart::check);
  }

  @Override
  public void close() {
    ended = true;
    parts.values().forEach(TransactionPart::close);
    snapshot.close();
  }
}
