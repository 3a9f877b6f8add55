package dev.holdfast.benchmarks.contender;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Shows of each contender that what is measured is a store that works. */
class ContenderTest {
  private static final int ENTRIES = 1_000;
  private static final int OVERWRITTEN = 100;

  @TempDir private Path directory;

  static Stream<Arguments> all() {
    List<Arguments> all = new ArrayList<>();
    for (ContenderKind kind : ContenderKind.values()) {
      for (KeyKind keys : KeyKind.values()) {
        for (PersistenceMode mode : PersistenceMode.values()) {
          // MapDB flushes in both, at some milliseconds a put.
          boolean twice = kind == ContenderKind.MAPDB && mode == PersistenceMode.PROCESS;
          if (kind.offers(mode) && !twice) {
            all.add(Arguments.of(kind, keys, mode));
          }
        }
      }
    }
    return all.stream();
  }

  private ContenderSettings settings(KeyKind keys, PersistenceMode mode) {
    return new ContenderSettings(directory, keys, 2 * ENTRIES, mode, false);
  }

  private static byte[] key(KeyKind keys, int id) {
    // Not at the beginning, so that a wrong offset shows.
    byte[] key = new byte[3 + keys.length()];
    Entries.key(keys, id, key, 3);
    return key;
  }

  private static long tag(KeyKind keys, byte[] key) {
    return Entries.tag(Entries.high(keys, key, 3), Entries.low(keys, key, 3));
  }

  private static byte[] value(KeyKind keys, int id, long version) {
    byte[] value = new byte[5 + Entries.VALUE_LENGTH];
    Entries.value(tag(keys, key(keys, id)), version, value, 5);
    return value;
  }

  private static long version(Access access, KeyKind keys, int id) {
    byte[] key = key(keys, id);
    long mark = access.get(key, 3);
    return mark == Entries.NONE ? -1 : Entries.version(tag(keys, key), mark);
  }

  private static void assertVersions(
      Contender contender, KeyKind keys, int[] ids, int overwritten) {
    try (Access access = contender.access()) {
      access.beginReads();
      for (int i = 0; i < ids.length; i++) {
        assertEquals(i < overwritten ? 7 : 0, version(access, keys, ids[i]), "entry " + i);
      }
      assertEquals(-1, version(access, keys, absent(ids)));
      access.endReads();
    }
  }

  private static int absent(int[] ids) {
    int id = 0;
    while (contains(ids, id)) {
      id++;
    }
    return id;
  }

  private static boolean contains(int[] ids, int id) {
    return Arrays.stream(ids).anyMatch(other -> other == id);
  }

  private static int[] ids() {
    int[] ids = new int[ENTRIES];
    Arrays.setAll(ids, i -> Entries.scatteredId(i));
    return ids;
  }

  private static void assertScans(Contender contender, int entries) {
    try (Access access = contender.access()) {
      access.beginReads();
      for (boolean reverse : new boolean[] {false, true}) {
        for (long limit : new long[] {Long.MAX_VALUE, 10}) {
          ScanCheck check = new ScanCheck(reverse);
          access.scan(reverse, limit, check);
          assertEquals(Math.min(limit, entries), check.entries());
          assertEquals(0, check.wrong());
        }
      }
      access.endReads();
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void whatIsPutOneByOneIsFoundOverwrittenScannedInOrderAndThereAfterReopening(
      ContenderKind kind, KeyKind keys, PersistenceMode mode) {
    int[] ids = ids();
    try (Contender contender = kind.open(settings(keys, mode))) {
      try (Access access = contender.access()) {
        for (int id : ids) {
          access.put(key(keys, id), 3, value(keys, id, 0), 5);
        }
      }
      assertVersions(contender, keys, ids, 0);
      try (Access access = contender.access()) {
        for (int i = 0; i < OVERWRITTEN; i++) {
          access.put(key(keys, ids[i]), 3, value(keys, ids[i], 7), 5);
        }
      }
      assertVersions(contender, keys, ids, OVERWRITTEN);
      if (kind.ordered()) {
        assertScans(contender, ENTRIES);
      } else {
        try (Access access = contender.access()) {
          ScanCheck check = new ScanCheck(false);
          assertThrows(UnsupportedOperationException.class, () -> access.scan(false, 1, check));
        }
      }
    }
    try (Contender contender = kind.open(settings(keys, mode))) {
      assertVersions(contender, keys, ids, OVERWRITTEN);
      if (kind.ordered()) {
        assertScans(contender, ENTRIES);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void whatIsLoadedInBulkIsThereInOrderOrNotAndStaysWhenCompacted(
      ContenderKind kind, KeyKind keys, PersistenceMode mode) {
    for (boolean ascending : new boolean[] {true, false}) {
      int[] ids = ids();
      Path place = directory.resolve("ascending-" + ascending);
      place.toFile().mkdir();
      if (ascending) {
        Arrays.sort(ids);
      }
      var settings = new ContenderSettings(place, keys, 2 * ENTRIES, mode, false);
      try (Contender contender = kind.open(settings)) {
        try (Bulk bulk = contender.bulk(ascending)) {
          for (int id : ids) {
            bulk.put(key(keys, id), 3, value(keys, id, 0), 5);
          }
        }
        assertVersions(contender, keys, ids, 0);
        if (kind.ordered()) {
          assertScans(contender, ENTRIES);
        }
        if (kind.compacts()) {
          contender.compact();
        }
      }
      try (Contender contender = kind.open(settings)) {
        assertVersions(contender, keys, ids, 0);
      }
    }
  }
}
