package dev.holdfast;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.SecureRandom;
import java.util.List;

/** Writes one dump. */
final class DumpWriter implements EntryVisitor {
  private final OutputStream out;
  private final byte[] id = new byte[DumpFormat.ID];
  private final ByteBuffer frame =
      ByteBuffer.allocate(DumpFormat.FRAME_HEAD + DumpFormat.PAYLOAD_MOST + DumpFormat.SUM)
          .order(ByteOrder.LITTLE_ENDIAN);
  private long number;
  private long entries;
  private long bytes;

  DumpWriter(OutputStream out) {
    this.out = out;
    new SecureRandom().nextBytes(id);
  }

  Dump.Summary write(Store store) throws IOException {
    try (Snapshot snapshot = store.snapshot()) {
      ByteBuffer begin = ByteBuffer.allocate(DumpFormat.BEGIN).order(ByteOrder.LITTLE_ENDIAN);
      List<String> names = snapshot.mapNames();
      begin
          .put(DumpFormat.MAGIC)
          .putInt(names.isEmpty() ? DumpFormat.VERSION : DumpFormat.VERSION_WITH_MAPS)
          .put(id);
      out.write(begin.array());
      begin(DumpFormat.HEAD);
      frame.putLong(snapshot.sequence());
      frame.putLong(snapshot.takenAt().toEpochMilli());
      end();
      show(snapshot);
      for (String name : names) {
        showMap(snapshot, name);
      }
      begin(DumpFormat.END);
      frame.putLong(entries);
      frame.putLong(bytes);
      end();
      out.flush();
      return new Dump.Summary(entries, bytes);
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  private void show(Snapshot snapshot) {
    if (snapshot instanceof OpenSnapshot open) {
      long _ = open.visit(OpenStore.OWN).show(this);
    } else {
      showAll(snapshot);
    }
  }

  private void showMap(Snapshot snapshot, String name) throws IOException {
    MapDirectory.Listing listing =
        snapshot instanceof OpenSnapshot open ? open.listing(name) : null;
    boolean expires = listing != null && listing.kind() == MapDirectory.Kind.EXPIRING;
    begin(DumpFormat.MAP);
    frame.put((byte) (expires ? DumpFormat.EXPIRING : DumpFormat.PLAIN));
    frame.put(MapDirectory.bytes(name));
    end();
    ReadableMap map = snapshot.map(name);
    if (snapshot instanceof OpenSnapshot open && listing != null) {
      long _ = open.visit(listing.number()).show(this);
    } else if (map != null) {
      showAll(map);
    }
  }

  private void showAll(ReadableMap map) {
    try (Cursor cursor = map.cursor(KeyRange.all())) {
      while (cursor.next()) {
        byte[] key = cursor.key();
        byte[] value = cursor.value();
        boolean _ = visit(key, 0, key.length, value, 0, value.length);
      }
    }
  }

  @Override
  public boolean visit(
      byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
    try {
      begin(DumpFormat.ENTRY);
      frame.putShort((short) keyLength);
      frame.putInt(valueLength);
      frame.put(keys, keyAt, keyLength);
      int at = 0;
      while (true) {
        int room = DumpFormat.FRAME_HEAD + DumpFormat.PAYLOAD_MOST - frame.position();
        int n = Math.min(room, valueLength - at);
        frame.put(values, valueAt + at, n);
        at += n;
        end();
        if (at == valueLength) {
          break;
        }
        begin(DumpFormat.MORE);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    entries++;
    bytes += keyLength + valueLength;
    return true;
  }

  private void begin(int type) {
    frame.clear();
    frame.put((byte) type).putLong(number++).putInt(0);
  }

  private void end() throws IOException {
    int length = frame.position();
    frame.putInt(1 + Long.BYTES, length - DumpFormat.FRAME_HEAD);
    frame.putInt(DumpFormat.sum(id, frame.array(), length));
    out.write(frame.array(), 0, frame.position());
  }
}
