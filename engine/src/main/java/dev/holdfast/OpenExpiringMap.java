package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.ValueSource;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/** An expiring map that is open: over a map whose values are stored as {@link Expiry} says. */
final class OpenExpiringMap extends OpenMap implements ExpiringMap {
  private final OpenNamedMap under;
  private final LongSupplier now;
  private final ExpiringView view;

  /**
   * @param under what its entries are stored in
   * @param now the time of day, in milliseconds since 1970
   */
  OpenExpiringMap(OpenNamedMap under, LongSupplier now) {
    super(
        under.persistence,
        under.reverseMap,
        (key, mode) -> under.home().tree().awaitAcknowledgement(under.home().number(), key, mode));
    this.under = under;
    this.now = now;
    this.view = new ExpiringView(under, now);
  }

  @Override
  public String name() {
    return under.name();
  }

  @Override
  MapHome home() {
    return under.home();
  }

  @Override
  OpenMap raw() {
    return under;
  }

  @Override
  byte[] stored(byte[] value) {
    return Expiry.encode(Expiry.NEVER, value);
  }

  // ---------------------------------------------------------------- reading

  private byte @Nullable [] live(byte[] key) {
    byte[] stored = under.get(key);
    return isLive(stored, now.getAsLong()) ? stored : null;
  }

  private static boolean isLive(byte @Nullable [] stored, long at) {
    return stored != null && Expiry.isLive(stored, at);
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return view.get(key);
  }

  @Override
  public long get(MemorySegment key, MemorySegment into) {
    return view.get(key, into);
  }

  @Override
  public boolean containsKey(byte[] key) {
    return view.containsKey(key);
  }

  @Override
  public @Nullable Lease lease(byte[] key) {
    Lease stored = under.lease(key);
    if (stored == null) {
      return null;
    }
    boolean given = false;
    try {
      byte[] header = new byte[Expiry.HEADER];
      if (stored.length() >= Expiry.HEADER) {
        stored.copyTo(0, header, 0, header.length);
        if (!Expiry.isLive(header, now.getAsLong())) {
          return null;
        }
      }
      given = true;
      return new ExpiringLease(stored);
    } finally {
      if (!given) {
        stored.close();
      }
    }
  }

  @Override
  public @Nullable Instant deadline(byte[] key) {
    byte[] stored = live(key);
    return stored == null ? null : Expiry.instant(Expiry.deadline(stored));
  }

  @Override
  public Cursor cursor(KeyRange range) {
    return view.cursor(range);
  }

  @Override
  public Cursor reverseCursor(KeyRange range) {
    return view.reverseCursor(range);
  }

  @Override
  public long scan(KeyRange range, boolean reverse, EntryVisitor visitor) {
    LiveEntries live = new LiveEntries(visitor, now);
    long _ = under.scan(range, reverse, live);
    return live.shown;
  }

  /** Shows a visitor the entries that live. */
  private static final class LiveEntries implements EntryVisitor {
    private final EntryVisitor visitor;
    private final LongSupplier now;
    private long shown;

    LiveEntries(EntryVisitor visitor, LongSupplier now) {
      this.visitor = visitor;
      this.now = now;
    }

    @Override
    public boolean visit(
        byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
      if (!Expiry.isLive(values, valueAt, valueLength, now.getAsLong())) {
        return true;
      }
      shown++;
      int header = Math.min(valueLength, Expiry.HEADER);
      return visitor.visit(keys, keyAt, keyLength, values, valueAt + header, valueLength - header);
    }
  }

  // ---------------------------------------------------------------- writing

  @Override
  public void put(byte[] key, byte[] value, PersistenceMode mode) {
    under.put(key, stored(value), mode);
  }

  @Override
  public void put(MemorySegment key, MemorySegment value, PersistenceMode mode) {
    put(key.toArray(ValueLayout.JAVA_BYTE), value.toArray(ValueLayout.JAVA_BYTE), mode);
  }

  @Override
  public void put(byte[] key, byte[] value, Duration timeToLive) {
    put(key, value, timeToLive, persistence);
  }

  @Override
  public void put(byte[] key, byte[] value, Duration timeToLive, PersistenceMode mode) {
    under.put(key, Expiry.encode(Expiry.after(now.getAsLong(), timeToLive), value), mode);
  }

  @Override
  public void putUntil(byte[] key, byte[] value, Instant deadline) {
    under.put(key, Expiry.encode(Expiry.of(deadline), value), persistence);
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value, Duration timeToLive) {
    byte[] fresh = Expiry.encode(Expiry.after(now.getAsLong(), timeToLive), value);
    return putIfAbsentStored(key, fresh, persistence);
  }

  @Override
  public boolean setDeadline(byte[] key, Instant deadline) {
    long until = Expiry.of(deadline);
    long at = now.getAsLong();
    return isLive(
        former(
            key,
            stored ->
                stored != null && isLive(stored, at)
                    ? Expiry.encode(until, Expiry.value(stored))
                    : stored,
            persistence),
        at);
  }

  @Override
  void store(byte[] key, ValueSource source, long length) throws IOException {
    if (length < 0) {
      throw new IllegalArgumentException("length: expected at least 0, was " + length);
    }
    byte[] header = Expiry.encode(Expiry.NEVER, new byte[0]);
    under.store(key, new WithHeader(header, source), Math.addExact(length, header.length));
  }

  /** Gives a header, and then what another source gives. */
  private static final class WithHeader implements ValueSource {
    private final byte[] header;
    private final ValueSource source;
    private int given;

    WithHeader(byte[] header, ValueSource source) {
      this.header = header;
      this.source = source;
    }

    @Override
    public void read(byte[] target, int length) throws IOException {
      int ofHeader = Math.min(length, header.length - given);
      System.arraycopy(header, given, target, 0, ofHeader);
      given += ofHeader;
      if (ofHeader == 0) {
        source.read(target, length);
      } else if (length > ofHeader) {
        byte[] rest = new byte[length - ofHeader];
        source.read(rest, rest.length);
        System.arraycopy(rest, 0, target, ofHeader, rest.length);
      }
    }
  }

  @Override
  public boolean putIfAbsent(byte[] key, byte[] value, PersistenceMode mode) {
    return putIfAbsentStored(key, stored(value), mode);
  }

  private boolean putIfAbsentStored(byte[] key, byte[] fresh, PersistenceMode mode) {
    long at = now.getAsLong();
    return !isLive(former(key, stored -> isLive(stored, at) ? stored : fresh, mode), at);
  }

  @Override
  public boolean replace(byte[] key, byte[] value, PersistenceMode mode) {
    byte[] given = value.clone();
    long at = now.getAsLong();
    return isLive(
        former(
            key,
            stored -> stored != null && isLive(stored, at) ? keeping(stored, given) : stored,
            mode),
        at);
  }

  @Override
  public boolean replace(byte[] key, byte[] expected, byte[] value, PersistenceMode mode) {
    byte[] wanted = expected.clone();
    byte[] given = value.clone();
    long at = now.getAsLong();
    byte[] former =
        former(
            key,
            stored ->
                stored != null && isLive(stored, wanted, at) ? keeping(stored, given) : stored,
            mode);
    return isLive(former, wanted, at);
  }

  private static byte[] keeping(byte[] stored, byte[] value) {
    return Expiry.encode(Expiry.deadline(stored), value);
  }

  private static boolean isLive(byte @Nullable [] stored, byte[] value, long at) {
    return stored != null
        && Expiry.isLive(stored, at)
        && Arrays.equals(Expiry.value(stored), value);
  }

  /** Updates what is stored of a key; what was. What lives is decided by one time for all of it. */
  private byte @Nullable [] former(
      byte[] key, UnaryOperator<byte @Nullable []> change, PersistenceMode mode) {
    return under.updates().update(key, change, mode).former();
  }

  @Override
  public boolean remove(byte[] key, PersistenceMode mode) {
    long at = now.getAsLong();
    try {
      return isLive(former(key, _ -> null, mode), at);
    } catch (DataLostException e) {
      return under.remove(key, mode); // Heals it.
    }
  }

  @Override
  public boolean remove(byte[] key, byte[] expected, PersistenceMode mode) {
    byte[] wanted = expected.clone();
    long at = now.getAsLong();
    byte[] former = former(key, stored -> isLive(stored, wanted, at) ? null : stored, mode);
    return isLive(former, wanted, at);
  }
}
