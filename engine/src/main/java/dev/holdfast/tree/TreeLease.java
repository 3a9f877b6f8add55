package dev.holdfast.tree;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.MappingRevokedException;
import dev.holdfast.rmap.MappingHandle;
import dev.holdfast.volume.LegSet;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.WeakReference;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Reads one value where it lies. It holds no address: each access takes the leg set that is in
 * force, copies a piece out, and believes it behind the barrier and by its checksum, as every read
 * does; so a leg that goes has nothing of it to be mapped anew.
 *
 * <p>Accesses are operations: a close of the store, and whoever reuses pages, waits for those that
 * are under way, each of which is short. A piece that was verified stays at hand for the next
 * access, in memory, and counts as long as the leg set is the one that it was read by: what was
 * lost since is not answered from it.
 *
 * <p><b>Threads:</b> any, {@link #close} too.
 */
public final class TreeLease implements MappingHandle, AutoCloseable {
  /** So many pieces one operation copies at most. */
  static final int STEP = 64;

  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private static final long DONE = Long.MAX_VALUE;

  private enum State {
    OPEN,
    CLOSED,
    FORGOTTEN,
    GAVE_WAY
  }

  /** A piece that was verified. Nobody changes its bytes. */
  private static final class Piece {
    final int chunk;
    final byte[] bytes;
    final LegSet set;

    Piece(int chunk, byte[] bytes, LegSet set) {
      this.chunk = chunk;
      this.bytes = bytes;
      this.set = set;
    }
  }

  private final Tree tree;
  private final Parts parts;
  private final Leases leases;
  private final int map;
  private final byte[] key;
  private final LeasedValue value;
  private final AtomicReference<State> state = new AtomicReference<>(State.OPEN);
  private long[] tokens = {};
  private volatile @Nullable Piece latest;
  private volatile @Nullable WeakReference<Object> holder;
  private volatile boolean namedLost;

  TreeLease(Tree tree, Parts parts, Leases leases, int map, byte[] key, LeasedValue value) {
    this.tree = tree;
    this.parts = parts;
    this.leases = leases;
    this.map = map;
    this.key = key;
    this.value = value;
  }

  void pinned(long[] by) {
    tokens = by;
  }

  long[] tokens() {
    return tokens;
  }

  LeasedValue value() {
    return value;
  }

  /**
   * Says who holds it for a user: it ends once nobody can reach that any more.
   *
   * @param user the only one through which the lease is used
   */
  public void heldBy(Object user) {
    holder = leases.watch(user, this);
  }

  @Override
  public String describe() {
    return "lease on key " + Keys.printable(key) + ", " + value.length + " bytes";
  }

  @Override
  public void invalidated(long offset, long length) {
    latest = null; // Another leg set is in force already; this only gives the memory back.
  }

  /** The length of the value. */
  public long length() {
    return value.length;
  }

  // ---------------------------------------------------------------- accesses

  /** A byte. */
  public byte getByte(long offset) {
    Piece piece = pieceFor(offset, Byte.BYTES);
    return piece.bytes[inPiece(offset)];
  }

  /** Four bytes. */
  public int getInt(long offset) {
    Piece piece = pieceFor(offset, Integer.BYTES);
    int at = inPiece(offset);
    return at + Integer.BYTES <= piece.bytes.length
        ? (int) INT.get(piece.bytes, at)
        : (int) across(offset, Integer.BYTES);
  }

  /** Eight bytes. */
  public long getLong(long offset) {
    Piece piece = pieceFor(offset, Long.BYTES);
    int at = inPiece(offset);
    return at + Long.BYTES <= piece.bytes.length
        ? (long) LONG.get(piece.bytes, at)
        : across(offset, Long.BYTES);
  }

  /** Copies a range. */
  public void copyTo(long offset, MemorySegment target, long targetOffset, long length) {
    Objects.requireNonNull(target);
    requireUsable();
    requireInside(offset, length);
    if (target.isReadOnly()) {
      throw new IllegalArgumentException("target: expected memory to write to, is read-only");
    }
    long room = target.byteSize();
    if (targetOffset < 0 || targetOffset > room - length) {
      throw new IndexOutOfBoundsException(
          "target: expected a range inside [0, "
              + room
              + "), was ["
              + targetOffset
              + ", +"
              + length
              + ")");
    }
    long end = offset + length;
    Scratch s = tree.takeScratch();
    try {
      for (long at = offset; at < end; ) {
        int from = LeasedValue.chunkOf(at);
        long to = Math.min(end, LeasedValue.beginOf(from + STEP));
        long begin = at;
        long into = targetOffset + (at - offset);
        long failed = run(s, (_, scratch) -> copy(scratch, begin, to, target, into));
        if (failed != DONE) {
          throw lost((int) failed);
        }
        at = to;
      }
    } finally {
      tree.giveScratch(s);
    }
  }

  private static int inPiece(long offset) {
    return (int) (offset & (LeasedValue.CHUNK - 1));
  }

  /** Puts a word together that lies in two pieces. */
  private long across(long offset, int bytes) {
    long word = 0;
    for (int i = 0; i < bytes; i++) {
      word |= (getByte(offset + i) & 0xffL) << (Byte.SIZE * i);
    }
    return word;
  }

  private Piece pieceFor(long offset, int length) {
    requireUsable();
    requireInside(offset, length);
    int chunk = LeasedValue.chunkOf(offset);
    Piece piece = latest;
    return piece != null && piece.chunk == chunk && piece.set == parts.volume.legs()
        ? piece
        : load(chunk);
  }

  private Piece load(int chunk) {
    byte[] bytes = new byte[value.lengthOf(chunk)];
    LegSet[] by = new LegSet[1];
    Scratch s = tree.takeScratch();
    try {
      long outcome =
          run(
              s,
              (_, scratch) -> {
                LegSet set = tree.readableLegs();
                by[0] = set;
                return load(scratch, set, chunk, bytes) ? DONE : chunk;
              });
      if (outcome != DONE) {
        throw lost(chunk);
      }
    } finally {
      tree.giveScratch(s);
    }
    Piece piece = new Piece(chunk, bytes, by[0]);
    latest = piece;
    return piece;
  }

  /** Copies a range of at most {@link #STEP} pieces; the number of one that is on no leg. */
  private long copy(Scratch s, long from, long to, MemorySegment target, long into) {
    LegSet set = tree.readableLegs();
    for (long at = from; at < to; ) {
      int chunk = LeasedValue.chunkOf(at);
      if (!load(s, set, chunk, s.record)) {
        return chunk;
      }
      long end = Math.min(to, LeasedValue.beginOf(chunk + 1));
      Scratch.copyOut(s.record, inPiece(at), (int) (end - at), target, into + (at - from));
      at = end;
    }
    return DONE;
  }

  /** Copies a piece to memory from a leg where it is right; within an operation. */
  private boolean load(Scratch s, LegSet set, int chunk, byte[] into) {
    long at = value.offsetOf(chunk);
    int n = value.lengthOf(chunk);
    int mismatched = -1;
    for (int reader = 0; reader < set.readers(); reader++) {
      if (!parts.volume.loadChecked(set, reader, at, into, 0, n)) {
        continue;
      }
      if (isRight(s.crc, chunk, into, n)) {
        if (mismatched >= 0 && isOwned(at >>> PageMap.PAGE_SHIFT)) {
          // What nobody owns any more nobody repairs: it would be told of again and again.
          parts.damage.damaged(mismatched, at, n);
        }
        parts.volume.countRead(set, reader, s.place);
        return true;
      }
      mismatched = set.legOf(reader);
    }
    return parts.volume.assembleAny(set, at, into, 0, n) && isRight(s.crc, chunk, into, n);
  }

  private boolean isOwned(long page) {
    long extent = parts.pages.extent(page);
    if (extent >= 0) {
      return parts.pages.leaf(extent) >= 0;
    }
    int leaf = parts.pages.leaf(page); // Perhaps the one that it was of.
    return leaf >= 0
        && parts.leaves.exists(leaf)
        && page >= parts.leaves.page(leaf)
        && page < parts.leaves.page(leaf) + parts.leaves.pages(leaf);
  }

  private boolean isRight(CRC32C crc, int chunk, byte[] bytes, int length) {
    crc.reset();
    crc.update(bytes, 0, length);
    return (int) crc.getValue() == value.sumOf(chunk);
  }

  /** Runs one access as an operation of the tree. */
  private long run(Scratch s, Tree.Attempt attempt) {
    try {
      return tree.operate(
          s,
          (t, scratch) -> {
            requireOpen(); // Within the operation: who waits for it saw the lease end, or we do.
            return attempt.run(t, scratch);
          });
    } catch (DeviceOfflineException e) {
      throw offline(e);
    }
  }

  // ---------------------------------------------------------------- failures

  private void requireInside(long offset, long length) {
    if (offset < 0 || length < 0 || offset > value.length - length) {
      throw new IndexOutOfBoundsException(
          describe()
              + ": expected a range inside [0, "
              + value.length
              + "), was ["
              + offset
              + ", +"
              + length
              + ")");
    }
  }

  private void requireUsable() {
    requireOpen();
    try {
      tree.requireOpen();
    } catch (DeviceOfflineException e) {
      throw offline(e);
    }
  }

  private void requireOpen() {
    switch (state.get()) {
      case OPEN -> {}
      case CLOSED, FORGOTTEN ->
          throw new IllegalStateException(describe() + ": expected it to be open, was closed");
      case GAVE_WAY ->
          throw new MappingRevokedException(
              describe() + ": has ended: the store had no room but what the lease kept", null);
    }
  }

  private MappingRevokedException offline(DeviceOfflineException e) {
    return new MappingRevokedException(describe() + ": cannot be reached: " + e.getMessage(), e);
  }

  private RuntimeException lost(int chunk) {
    requireUsable(); // Else the pages may hold something else by now.
    nameLost();
    long begin = LeasedValue.beginOf(chunk);
    String what =
        describe()
            + ": bytes ["
            + begin
            + ", +"
            + value.lengthOf(chunk)
            + ") at "
            + value.offsetOf(chunk)
            + " of the volume: expected a leg that has what was leased, was none";
    return new MappingRevokedException(what, new DataLostException(what));
  }

  /** The store names what is lost if it is the value of its key still; tells it once. */
  private void nameLost() {
    if (namedLost) {
      return;
    }
    namedLost = true;
    Scratch s = tree.takeScratch();
    try {
      s.key(map, key, parts.secret);
      long leaf = tree.operate(s, (_, t) -> parts.order.floor(t.key, 0, t.keyLength));
      if (leaf >= 0) {
        tree.nameLostIn((int) leaf, s);
      }
    } catch (HoldfastException e) {
      // The access throws anyway; who asks for the key meets it, too.
    } finally {
      tree.giveScratch(s);
    }
  }

  // ---------------------------------------------------------------- its begin and end

  /**
   * Takes the checksums of the pieces of a large value from what the legs hold, and believes them
   * if the checksum of the record says that it was right as a whole. Piece by piece, so that nobody
   * has to wait for more than one.
   *
   * @return whether it is right on some leg
   */
  boolean verify(Scratch s, BlobSpace blobs, BlobExtents extents) {
    byte[] bytes = new byte[(int) Math.min((long) STEP * LeasedValue.CHUNK, value.length)];
    int wrong = -1;
    for (int pass = 0; pass < parts.volume.allLegs().size(); pass++) {
      int preferred = pass;
      int[] readers = {-1, 0};
      CRC32C whole = new CRC32C();
      boolean complete = true;
      for (int chunk = 0; complete && chunk < value.chunks(); ) {
        int first = chunk;
        int count = value.run(chunk, STEP);
        int n = 0;
        for (int i = 0; i < count; i++) {
          n += value.lengthOf(first + i);
        }
        int length = n;
        complete =
            run(s, (_, _) -> loadFrom(preferred, value.offsetOf(first), bytes, length, readers))
                == DONE;
        if (complete) {
          whole.update(bytes, 0, length);
          sum(s.crc, first, count, bytes);
        }
        chunk += count;
      }
      if (complete && blobs.isRight(extents, whole)) {
        if (wrong >= 0) {
          parts.damage.damaged(wrong, value.offsetOf(0), value.length);
        }
        return true;
      }
      wrong = complete && readers[1] == 0 ? readers[0] : wrong;
    }
    return false;
  }

  private void sum(CRC32C crc, int first, int count, byte[] bytes) {
    for (int i = 0; i < count; i++) {
      crc.reset();
      crc.update(bytes, i * LeasedValue.CHUNK, value.lengthOf(first + i));
      value.sum(first + i, (int) crc.getValue());
    }
  }

  /**
   * Copies from one leg, or from wherever it can be.
   *
   * @param readers the leg that was read from, and how often it was another one
   */
  private long loadFrom(int preferred, long offset, byte[] bytes, int length, int[] readers) {
    LegSet set = tree.readableLegs();
    int reader = Math.min(preferred, set.readers() - 1);
    int leg = set.legOf(reader);
    if (readers[0] >= 0 && readers[0] != leg) {
      readers[1]++;
    }
    readers[0] = leg;
    if (parts.volume.loadChecked(set, reader, offset, bytes, 0, length)) {
      return DONE;
    }
    readers[1]++;
    return parts.volume.assembleAny(set, offset, bytes, 0, length) ? DONE : 0;
  }

  boolean isOpen() {
    return state.get() == State.OPEN;
  }

  /** Ends it, because there is no other room; whether this call did. */
  boolean giveWay() {
    return end(State.GAVE_WAY);
  }

  /** Ends it, because its user forgot it; whether this call did. */
  boolean forget() {
    return end(State.FORGOTTEN);
  }

  /** Ends it. Harmless when it was closed before. */
  @Override
  public void close() {
    boolean _ = end(State.CLOSED);
  }

  private boolean end(State how) {
    if (!state.compareAndSet(State.OPEN, how)) {
      return false;
    }
    latest = null;
    WeakReference<Object> by = holder;
    if (by != null) {
      by.clear();
    }
    leases.ended(this);
    return true;
  }
}
