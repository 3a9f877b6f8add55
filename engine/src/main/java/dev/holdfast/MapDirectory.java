package dev.holdfast;

import dev.holdfast.error.DataLostException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.tree.BatchOps;
import dev.holdfast.tree.Tree;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Which maps there are, by name: entries of a map of its own, the last one.
 *
 * <pre>
 *  key                      value
 *  name, UTF-8              version 1 | number | kind     of a map that is there
 *  0 | number               (empty)                       of one that is dropped and not yet cleared
 * </pre>
 *
 * A change is one batch, so that it happens or not. It is read once, and kept in memory.
 *
 * <p><b>Threads:</b> one at a time, by the lock of {@link NamedMaps}.
 */
final class MapDirectory {
  /** The number of the map that the directory is. */
  static final int NUMBER = 255;

  /** How many maps may have a name, those that are being cleared included. */
  static final int MOST_MAPS = 254;

  private static final byte VERSION = 1;

  /** What kind of map it is. */
  enum Kind {
    PLAIN(0),
    EXPIRING(1);

    final byte code;

    Kind(int code) {
      this.code = (byte) code;
    }

    static @Nullable Kind of(byte code) {
      return switch (code) {
        case 0 -> PLAIN;
        case 1 -> EXPIRING;
        default -> null;
      };
    }
  }

  /** A map that is there. */
  record Listing(int number, Kind kind) {}

  private final Tree tree;
  private final PersistenceMode persistence;
  private final String where;
  private final TreeMap<String, Listing> listed = new TreeMap<>();
  private final TreeSet<Integer> clearing = new TreeSet<>();
  private @Nullable DataLostException lost;

  /**
   * @param where the directory of the store, for messages
   */
  MapDirectory(Tree tree, PersistenceMode persistence, String where) {
    this.tree = tree;
    this.persistence = persistence;
    this.where = where;
  }

  /**
   * Reads it.
   *
   * @throws InvalidImageException if an entry is none of a directory
   */
  void load() {
    listed.clear();
    clearing.clear();
    lost = null;
    RangeVisit visit = new RangeVisit(tree.scan(NUMBER), KeyRange.all(), false, null);
    while (true) {
      try {
        long _ = visit.show(this::add);
        return;
      } catch (DataLostException e) {
        lost = e; // The next look goes on behind it.
      }
    }
  }

  private boolean add(
      byte[] keys, int keyAt, int keyLength, byte[] values, int valueAt, int valueLength) {
    if (keys[keyAt] == 0) {
      if (keyLength != 2 || valueLength != 0) {
        throw invalid("the note of a dropped map");
      }
      clearing.add(Byte.toUnsignedInt(keys[keyAt + 1]));
      return true;
    }
    String name = new String(keys, keyAt, keyLength, StandardCharsets.UTF_8);
    Listing listing = decode(Arrays.copyOfRange(values, valueAt, valueAt + valueLength));
    if (listing == null) {
      throw invalid("the entry of map " + name);
    }
    listed.put(name, listing);
    return true;
  }

  private InvalidImageException invalid(String what) {
    return new InvalidImageException(
        where + ": directory of maps: " + what + ": expected one of this version, was another");
  }

  /** The map of a name; null if there is none. */
  @Nullable Listing find(String name) {
    Listing found = listed.get(name);
    if (found == null && lost != null) {
      // It may be the very name that was lost.
      byte[] _ = tree.get(NUMBER, bytes(name));
    }
    return found;
  }

  /** The names of the maps that are there, by their numbers. */
  Map<Integer, String> namesByNumber() {
    Map<Integer, String> names = new HashMap<>();
    listed.forEach((name, listing) -> names.put(listing.number(), name));
    return names;
  }

  /** The names, in the order of their characters. */
  List<String> names() {
    return List.copyOf(listed.keySet());
  }

  /** The name of a map; null if it has none. */
  @Nullable String nameOf(int number) {
    for (var each : listed.entrySet()) {
      if (each.getValue().number() == number) {
        return each.getKey();
      }
    }
    return null;
  }

  /** The numbers of maps that are dropped, and not yet cleared. */
  SortedSet<Integer> clearing() {
    return new TreeSet<>(clearing);
  }

  /** Adds a map. */
  Listing create(String name, Kind kind) {
    Listing made = new Listing(freeNumber(), kind);
    BatchOps ops = new BatchOps();
    ops.put(NUMBER, bytes(name), value(made));
    tree.write(ops, persistence);
    listed.put(name, made);
    return made;
  }

  private int freeNumber() {
    DataLostException missing = lost;
    if (missing != null) {
      throw new DataLostException(
          where
              + ": directory of maps: a part of it is lost, so that it is not known which numbers"
              + " are free: no map can be made",
          missing);
    }
    BitSet taken = new BitSet();
    taken.set(OpenStore.OWN);
    listed.values().forEach(each -> taken.set(each.number()));
    clearing.forEach(taken::set);
    int free = taken.nextClearBit(0);
    if (free > MOST_MAPS) {
      throw new IllegalStateException(
          where
              + ": expected at most "
              + MOST_MAPS
              + " maps with names, were "
              + listed.size()
              + (clearing.isEmpty()
                  ? ""
                  : " and " + clearing.size() + " that were dropped and are being cleared"));
    }
    return free;
  }

  /** Takes a map out, and notes that it is to be cleared. */
  void drop(String name, Listing listing) {
    BatchOps ops = new BatchOps();
    ops.remove(NUMBER, bytes(name));
    ops.put(NUMBER, note(listing.number()), new byte[0]);
    tree.write(ops, persistence);
    listed.remove(name);
    clearing.add(listing.number());
  }

  /** Gives a map another name. */
  void rename(String from, String to, Listing listing) {
    BatchOps ops = new BatchOps();
    ops.remove(NUMBER, bytes(from));
    ops.put(NUMBER, bytes(to), value(listing));
    tree.write(ops, persistence);
    listed.remove(from);
    listed.put(to, listing);
  }

  /** Notes that nothing is left of a map that was dropped: its number is free. */
  void cleared(int number) {
    boolean _ = tree.remove(NUMBER, note(number), null, persistence);
    clearing.remove(number);
  }

  static byte[] bytes(String name) {
    return name.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] value(Listing listing) {
    return new byte[] {VERSION, (byte) listing.number(), listing.kind().code};
  }

  private static byte[] note(int number) {
    return new byte[] {0, (byte) number};
  }

  /** What an entry says; null if it is none of this version. */
  static @Nullable Listing decode(byte[] value) {
    Kind kind = value.length == 3 && value[0] == VERSION ? Kind.of(value[2]) : null;
    int number = kind == null ? OpenStore.OWN : Byte.toUnsignedInt(value[1]);
    return kind == null || number == OpenStore.OWN || number == NUMBER
        ? null
        : new Listing(number, kind);
  }
}
