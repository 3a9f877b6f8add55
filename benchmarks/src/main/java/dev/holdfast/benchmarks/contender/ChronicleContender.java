package dev.holdfast.benchmarks.contender;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import net.openhft.chronicle.map.ChronicleMap;
import net.openhft.chronicle.map.ChronicleMapBuilder;

/** Chronicle Map. */
final class ChronicleContender implements Contender {
  private final ChronicleMap<byte[], byte[]> map;
  private final KeyKind keys;

  ChronicleContender(ContenderSettings settings) {
    this.keys = settings.keys();
    ChronicleMapBuilder<byte[], byte[]> builder =
        ChronicleMapBuilder.of(byte[].class, byte[].class)
            .name("chronicle")
            .entries(settings.entries())
            .constantKeySizeBySample(new byte[keys.length()])
            .constantValueSizeBySample(new byte[Entries.VALUE_LENGTH])
            .putReturnsNull(true);
    File file = settings.directory().resolve("map").toFile();
    try {
      this.map =
          settings.killed()
              ? builder.recoverPersistedTo(file, true)
              : builder.createPersistedTo(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public Access access() {
    return new MapAccess(map, keys);
  }

  @Override
  public Bulk bulk(boolean ascending) {
    // It has no batches.
    return new Bulk() {
      private final Access access = access();

      @Override
      public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
        access.put(block, keyOffset, values, valueOffset);
      }

      @Override
      public void close() {
        access.close();
      }
    };
  }

  @Override
  public void compact() {
    throw new UnsupportedOperationException("compact");
  }

  @Override
  public void close() {
    map.close();
  }

  private static final class MapAccess implements Access {
    private final ChronicleMap<byte[], byte[]> map;
    private final byte[] key;
    private final byte[] value = new byte[Entries.VALUE_LENGTH];

    MapAccess(ChronicleMap<byte[], byte[]> map, KeyKind keys) {
      this.map = map;
      this.key = new byte[keys.length()];
    }

    @Override
    public long get(byte[] block, int offset) {
      System.arraycopy(block, offset, key, 0, key.length);
      byte[] found = map.getUsing(key, value);
      return found == null ? Entries.NONE : Entries.mark(found);
    }

    @Override
    public void put(byte[] block, int keyOffset, byte[] values, int valueOffset) {
      System.arraycopy(block, keyOffset, key, 0, key.length);
      System.arraycopy(values, valueOffset, value, 0, value.length);
      map.put(key, value);
    }

    @Override
    public void scan(boolean reverse, long limit, ScanCheck check) {
      throw new UnsupportedOperationException("scan: it has no order");
    }

    @Override
    public void close() {
      // It holds nothing.
    }
  }
}
