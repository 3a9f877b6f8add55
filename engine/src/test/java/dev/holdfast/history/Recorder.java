package dev.holdfast.history;

import dev.holdfast.Cursor;
import dev.holdfast.KeyRange;
import dev.holdfast.Store;
import dev.holdfast.error.DataLostException;
import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.history.Operation.Kind;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What one thread does to a few hot keys, by a seed, and what came of it. In between it fills the
 * store with keys of its own that lie among the hot ones, so that leaves fill up, are written anew
 * and are split.
 *
 * <p><b>Threads:</b> one; another one may read what was recorded when it is over.
 */
final class Recorder {
  /** A value in so many is too large for a leaf. */
  private static final int LARGE_ONE_IN = 24;

  private static final int LARGEST = 6_000;

  /** A walk over everything in so many steps. */
  private static final int SCAN_ONE_IN = 150;

  private final int thread;
  private final Random random;
  private final int keys;
  private final int longest;
  private final List<Operation> done = new ArrayList<>();
  private final Map<Integer, byte[]> seen = new HashMap<>();

  /** Which of its own keys are there; of those in doubt nobody knows. */
  private final Set<Integer> mine = new HashSet<>();

  private final Set<Integer> doubtful = new HashSet<>();
  private long numbers;

  /** Whether pages of the only leg are lost meanwhile. */
  private final boolean losesPages;

  private int mistaken;

  /**
   * @param keys how many hot keys there are
   * @param longest the bytes of a value that is not large
   * @param losesPages whether pages of the only leg are lost meanwhile: some keys are taken for
   *     others then
   */
  Recorder(int thread, long seed, int keys, int longest, boolean losesPages) {
    this.losesPages = losesPages;
    this.thread = thread;
    this.random = new Random(seed * 31 + thread);
    this.keys = keys;
    this.longest = longest;
  }

  static byte[] key(int key) {
    return "hot-%02d".formatted(key).getBytes(StandardCharsets.US_ASCII);
  }

  private byte[] own(int number) {
    return "hot-%02d/%04d/%d"
        .formatted(number % keys, number, thread)
        .getBytes(StandardCharsets.US_ASCII);
  }

  List<Operation> done() {
    return done;
  }

  /**
   * How often a key of its own was taken for another one that was lost: of those a store has no
   * more than a few bits of their hashes, 18 in one as small as these.
   */
  int mistaken() {
    return mistaken;
  }

  /**
   * Does one thing.
   *
   * @return false if the store was offline: nobody knows what became of it
   */
  boolean step(Store store) {
    int what = random.nextInt(100);
    if (what < 25) {
      return fill(store);
    }
    if (random.nextInt(SCAN_ONE_IN) == 0) {
      return scan(store);
    }
    int key = random.nextInt(keys);
    return switch (random.nextInt(5) == 0 ? 15 + what % 5 : what % 15) {
      case 0, 1, 2, 3 -> get(store, key);
      case 4 -> contains(store, key);
      case 5, 6, 7 -> write(store, key, Kind.PUT);
      case 8, 9 -> write(store, key, Kind.PUT_IF_ABSENT);
      case 10 -> write(store, key, Kind.REPLACE);
      case 11, 12 -> write(store, key, Kind.REPLACE_EQUAL);
      case 15 -> update(store, key, Kind.GET_AND_PUT, false);
      case 16 -> update(store, key, Kind.GET_AND_PUT, true);
      case 17 -> update(store, key, Kind.GET_AND_PUT_IF_ABSENT, random.nextBoolean());
      case 18 -> update(store, key, Kind.GET_AND_REMOVE, random.nextBoolean());
      case 19 -> removeEqual(store, key);
      default -> remove(store, key);
    };
  }

  private boolean fill(Store store) {
    int number = random.nextInt(400);
    byte[] key = own(number);
    try {
      if (random.nextInt(3) == 0) {
        boolean expected = mine.contains(number);
        if (store.remove(key) != expected && !doubtful.contains(number)) {
          if (!losesPages) {
            throw new AssertionError("own key " + number + ": expected there = " + expected);
          }
          mistaken++;
        }
        mine.remove(number);
      } else {
        store.put(key, Values.of(number, random.nextInt(longest)));
        mine.add(number);
      }
      doubtful.remove(number);
      return true;
    } catch (DeviceOfflineException e) {
      doubtful.add(number);
      return false;
    }
  }

  boolean get(Store store, int key) {
    long from = System.nanoTime();
    try {
      byte[] value = store.get(key(key));
      long to = System.nanoTime();
      add(key, Kind.GET, 0, 0, see(key, value), from, to);
    } catch (DataLostException e) {
      add(key, Kind.GET, 0, 0, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      return false;
    }
    return true;
  }

  private long see(int key, byte @Nullable [] value) {
    if (value == null) {
      return Operation.ABSENT;
    }
    long number = Values.number(value);
    seen.put(key, value);
    return number;
  }

  private boolean contains(Store store, int key) {
    long from = System.nanoTime();
    try {
      boolean there = store.containsKey(key(key));
      add(key, Kind.CONTAINS, 0, 0, there ? Operation.YES : Operation.NO, from, System.nanoTime());
    } catch (DataLostException e) {
      add(key, Kind.CONTAINS, 0, 0, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      return false;
    }
    return true;
  }

  private boolean write(Store store, int key, Kind kind) {
    long number = (thread + 1L) << 32 | ++numbers;
    byte[] name = key(key);
    int length =
        random.nextInt(LARGE_ONE_IN) == 0 ? random.nextInt(LARGEST) : random.nextInt(longest);
    byte[] value = Values.of(number, length);
    byte[] known = seen.get(key);
    if (kind == Kind.REPLACE_EQUAL && known == null) {
      return get(store, key);
    }
    byte[] expected = known == null ? value : known;
    long old = kind == Kind.REPLACE_EQUAL ? Values.number(expected) : 0;
    long from = System.nanoTime();
    try {
      boolean did =
          switch (kind) {
            case PUT -> {
              store.put(name, value);
              yield true;
            }
            case PUT_IF_ABSENT -> store.putIfAbsent(name, value);
            case REPLACE -> store.replace(name, value);
            default -> store.replace(name, expected, value);
          };
      long to = System.nanoTime();
      if (did) {
        seen.put(key, value);
      }
      add(key, kind, number, old, did ? Operation.YES : Operation.NO, from, to);
    } catch (DataLostException e) {
      add(key, kind, number, old, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      add(key, kind, number, old, 0, from, Operation.NEVER);
      return false;
    }
    return true;
  }

  private boolean remove(Store store, int key) {
    long from = System.nanoTime();
    try {
      boolean did = store.remove(key(key));
      add(key, Kind.REMOVE, 0, 0, did ? Operation.YES : Operation.NO, from, System.nanoTime());
    } catch (DataLostException e) {
      add(key, Kind.REMOVE, 0, 0, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      add(key, Kind.REMOVE, 0, 0, 0, from, Operation.NEVER);
      return false;
    }
    return true;
  }

  /**
   * Reads, modifies and writes.
   *
   * @param computes whether a function says what to write, of what it was given last
   */
  private boolean update(Store store, int key, Kind kind, boolean computes) {
    long number = (thread + 1L) << 32 | ++numbers;
    byte[] name = key(key);
    byte[] value = Values.of(number, random.nextInt(longest));
    byte[][] given = new byte[1][];
    long from = System.nanoTime();
    try {
      byte[] former = null;
      if (computes) {
        byte[] _ =
            store.compute(
                name,
                (_, there) -> {
                  given[0] = there;
                  return kind == Kind.GET_AND_REMOVE
                      ? null
                      : kind == Kind.GET_AND_PUT || there == null ? value : there;
                });
        former = given[0];
      } else {
        former =
            switch (kind) {
              case GET_AND_PUT -> store.getAndPut(name, value);
              case GET_AND_PUT_IF_ABSENT -> store.getAndPutIfAbsent(name, value);
              default -> store.getAndRemove(name);
            };
      }
      add(key, kind, number, 0, see(key, former), from, System.nanoTime());
    } catch (DataLostException e) {
      add(key, kind, number, 0, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      add(key, kind, number, 0, 0, from, Operation.NEVER);
      return false;
    }
    return true;
  }

  private boolean removeEqual(Store store, int key) {
    byte[] known = seen.get(key);
    if (known == null) {
      return get(store, key);
    }
    long old = Values.number(known);
    long from = System.nanoTime();
    try {
      boolean did = store.remove(key(key), known);
      add(
          key,
          Kind.REMOVE_EQUAL,
          0,
          old,
          did ? Operation.YES : Operation.NO,
          from,
          System.nanoTime());
    } catch (DataLostException e) {
      add(key, Kind.REMOVE_EQUAL, 0, old, Operation.LOST, from, System.nanoTime());
    } catch (DeviceOfflineException e) {
      add(key, Kind.REMOVE_EQUAL, 0, old, 0, from, Operation.NEVER);
      return false;
    }
    return true;
  }

  /**
   * A walk says of each key, found or not, what it was at some moment of the walk. Where something
   * was lost it says nothing of what it did not find.
   */
  boolean scan(Store store) {
    boolean reverse = random.nextBoolean();
    long from = System.nanoTime();
    long[] found = new long[keys];
    long[] moments = new long[keys];
    boolean lost = false;
    try (Cursor cursor =
        reverse ? store.reverseCursor(KeyRange.all()) : store.cursor(KeyRange.all())) {
      byte[] before = null;
      while (true) {
        try {
          if (!cursor.next()) {
            break;
          }
        } catch (DataLostException e) {
          lost = true;
          continue;
        }
        byte[] key = cursor.key();
        requireOrder(before, key, reverse);
        before = key;
        long number = Values.number(cursor.value());
        int hot = Arrays.binarySearch(names(), key, Arrays::compareUnsigned);
        if (hot >= 0) {
          found[hot] = number;
          moments[hot] = System.nanoTime();
        }
      }
    } catch (DeviceOfflineException e) {
      return false;
    }
    long to = System.nanoTime();
    for (int key = 0; key < keys; key++) {
      if (found[key] != Operation.ABSENT) {
        add(key, Kind.SCAN, 0, 0, found[key], from, moments[key]);
      } else if (!lost) {
        add(key, Kind.SCAN, 0, 0, Operation.ABSENT, from, to);
      }
    }
    return true;
  }

  private byte[][] names() {
    byte[][] names = new byte[keys][];
    for (int key = 0; key < keys; key++) {
      names[key] = key(key);
    }
    return names;
  }

  private static void requireOrder(byte @Nullable [] before, byte[] key, boolean reverse) {
    int order = before == null ? 0 : Arrays.compareUnsigned(before, key);
    if (before != null && (reverse ? order <= 0 : order >= 0)) {
      throw new AssertionError("a walk came to the same key twice, or back");
    }
  }

  private void add(int key, Kind kind, long value, long expected, long result, long from, long to) {
    done.add(new Operation(key, thread, kind, value, expected, result, from, to));
  }
}
