package dev.holdfast;

import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rmap.ReverseMap;
import dev.holdfast.tree.Tree;
import dev.holdfast.tree.TreeLease;
import dev.holdfast.tree.ValueSource;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A named map that is open. Writes pass its gate, reads look behind themselves whether it still is
 * open: see {@link MapGate}.
 */
final class OpenNamedMap extends OpenMap implements NamedMap {
  private final Tree tree;
  private final int number;
  private final MapGate gate;

  OpenNamedMap(
      Tree tree, int number, MapGate gate, PersistenceMode persistence, ReverseMap reverseMap) {
    super(persistence, reverseMap, (key, mode) -> tree.awaitAcknowledgement(number, key, mode));
    this.tree = tree;
    this.number = number;
    this.gate = gate;
  }

  @Override
  public String name() {
    return gate.name();
  }

  @Override
  MapHome home() {
    return new MapHome(tree, number, gate);
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    byte[] value = tree.get(number, key);
    gate.requireOpen();
    return value;
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    long length = tree.get(number, key, into);
    gate.requireOpen();
    return length;
  }

  @Override
  public boolean containsKey(byte[] key) {
    boolean contains = tree.containsKey(number, key);
    gate.requireOpen();
    return contains;
  }

  @Override
  public @Nullable Lease lease(byte[] key) {
    TreeLease lease = tree.lease(number, key);
    boolean open = false;
    try {
      gate.requireOpen();
      open = true;
      return lease == null ? null : new OpenLease(lease);
    } finally {
      if (!open && lease != null) {
        lease.close();
      }
    }
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return walk(range, false);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return walk(range, true);
  }

  private Cursor walk(KeyRange range, boolean reverse) {
    gate.requireOpen();
    return new RangeCursor(tree.scan(number), range, reverse, null, gate);
  }

  @Override
  public long scan(KeyRange range, boolean reverse, EntryVisitor visitor) {
    gate.requireOpen();
    long shown = new RangeVisit(tree.scan(number), range, reverse, gate).show(visitor);
    gate.requireOpen();
    return shown;
  }

  @Override
  public void put(byte[] key, byte[] value, PersistenceMode mode) {
    boolean _ = put(key, value, Tree.Condition.ANY, null, mode);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value, PersistenceMode mode) {
    int inside = gate.enter();
    try {
      tree.put(number, key, value, mode);
    } finally {
      gate.exit(inside);
    }
  }

  @Override
  void store(byte[] key, ValueSource source, long length) throws IOException {
    int inside = gate.enter();
    try {
      tree.put(number, key, source, length, persistence);
    } finally {
      gate.exit(inside);
    }
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode) {
    return put(key, value, Tree.Condition.ABSENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] value, PersistenceMode mode) {
    return put(key, value, Tree.Condition.PRESENT, null, mode);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode) {
    return put(key, value, Tree.Condition.EQUAL, expected.clone(), mode);
  }

  private boolean put(
      byte[] key,
      byte[] value,
      Tree.Condition condition,
      byte @Nullable [] expected,
      PersistenceMode mode) {
    int inside = gate.enter();
    try {
      return tree.put(number, key, value, condition, expected, mode);
    } finally {
      gate.exit(inside);
    }
  }

  @Override
  public boolean remove(byte[] key, PersistenceMode mode) {
    return removeIf(key, null, mode);
  }

  @Override
  public boolean remove(byte[] key, byte[] expected, PersistenceMode mode) {
    return removeIf(key, expected.clone(), mode);
  }

  private boolean removeIf(byte[] key, byte @Nullable [] expected, PersistenceMode mode) {
    int inside = gate.enter();
    try {
      return tree.remove(number, key, expected, mode);
    } finally {
      gate.exit(inside);
    }
  }
}
