package dev.holdfast;

import static dev.holdfast.TestStores.assertHolds;
import static dev.holdfast.TestStores.awaitState;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.leg;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.StoreLockedException;
import dev.holdfast.health.StoreState;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The directory of a store: who may open it, and what lies in it. */
final class FilesTest {
  @TempDir Path directory;

  private Path path() {
    return directory.resolve("s");
  }

  private Store open() {
    return Store.builder(path()).initialCapacity(4 << 20).open();
  }

  @Test
  void aSecondOpenerInThisProcessIsToldWhoHoldsTheStore() {
    try (Store store = open()) {
      fill(store, 0, 10);
      StoreLockedException locked = assertThrows(StoreLockedException.class, this::open);
      assertEquals(ProcessHandle.current().pid(), locked.pid());
      assertHolds(store, 0, 10);
    }
    open().close();
  }

  @Test
  void aSecondOpenerInAnotherProcessIsToldWhoHoldsTheStore() throws Exception {
    open().close();
    Process holder =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    System.getProperty("java.class.path"),
                    Holder.class.getName(),
                    path().toString()))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try {
      assertEquals('o', holder.getInputStream().read());
      StoreLockedException locked = assertThrows(StoreLockedException.class, this::open);
      assertEquals(holder.pid(), locked.pid());
      assertTrue(String.valueOf(locked.getMessage()).contains(Long.toString(holder.pid())));
    } finally {
      holder.destroyForcibly().waitFor();
    }
    // The lock ends with the process.
    open().close();
  }

  /** Opens a store in a process of its own and holds it. */
  static final class Holder {
    private Holder() {}

    public static void main(String[] arguments) throws IOException {
      try (Store store = Store.open(Path.of(arguments[0]))) {
        System.out.print("open " + store.stats().entries());
        System.out.flush();
        int end = System.in.read();
        assertEquals(-1, end);
      }
    }
  }

  @Test
  void filesAreForTheirOwnerAlone() throws IOException {
    try (Store store = open()) {
      fill(store, 0, 10);
      leg(store, 0).faults().poison(1 << 20, 1);
      TestStores.awaitRepaired(store);
      assertEquals("rwx------", permissions(path()));
      try (Stream<Path> files = Files.list(path())) {
        List<Path> all = files.toList();
        assertTrue(all.size() >= 4, all.toString());
        for (Path file : all) {
          assertEquals("rw-------", permissions(file), file.toString());
        }
      }
    }
  }

  /** Whatever is wrong with one file, the other one holds everything. */
  @ParameterizedTest
  @CsvSource({"0, version", "1, version", "0, cut", "1, cut", "0, empty", "1, absent"})
  void aLegWhoseFileIsDamagedIsCopiedFromTheOther(int leg, String damage) throws IOException {
    Path store = directory.resolve("s");
    try (Store opened = Store.builder(store).initialCapacity(4 << 20).open()) {
      fill(opened, 0, 500);
    }
    Path file = store.resolve("leg-" + leg + ".pmem");
    try (RandomAccessFile damaged = new RandomAccessFile(file.toFile(), "rw")) {
      switch (damage) {
        case "version" -> {
          damaged.seek(8);
          damaged.write(0);
        }
        case "cut" -> damaged.setLength(damaged.length() - 4096);
        case "empty" -> damaged.setLength(0);
        default -> Files.delete(file);
      }
    }
    try (Store opened = Store.open(store)) {
      assertHolds(opened, 0, 500);
      if (damage.equals("cut")) {
        awaitState(opened, StoreState.ONLINE);
        leg(opened, 1 - leg).faults().remove();
        assertHolds(opened, 0, 500);
      }
    }
  }

  @Test
  void readingAStoreThatIsNotThereLeavesNothing() {
    StoreBuilder builder = Store.builder(directory.resolve("absent")).readOnly();
    assertThrows(InvalidImageException.class, builder::open);
    assertFalse(Files.exists(directory.resolve("absent")));
  }

  /** Windows reserve addresses, of which a process has 128 TiB. */
  @Test
  void manyStoresFitIntoOneProcess() {
    List<Store> stores = new ArrayList<>();
    try {
      for (int i = 0; i < 40; i++) {
        stores.add(Store.builder(directory.resolve("s" + i)).initialCapacity(2 << 20).open());
      }
      stores.forEach(store -> fill(store, 0, 5));
    } finally {
      stores.forEach(Store::close);
    }
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"directory", "text", "empty", "fifo", "dangling", "loop", "device", "garbage"})
  void somethingElseInThePlaceOfALegIsATypedError(String what) throws Exception {
    open().close();
    Path leg = path().resolve("leg-0.pmem");
    Files.delete(leg);
    Files.delete(path().resolve("leg-1.pmem"));
    put(what, leg);
    assertTypedError();
  }

  @ParameterizedTest
  @ValueSource(strings = {"text", "empty", "fifo", "dangling", "loop", "device", "garbage"})
  void somethingElseInThePlaceOfTheStoreIsATypedError(String what) throws Exception {
    put(what, path());
    assertTypedError();
  }

  @ParameterizedTest
  @ValueSource(strings = {"directory", "text", "empty", "fifo", "dangling", "loop", "garbage"})
  void somethingElseInThePlaceOfTheLockOrTheWitnessIsATypedErrorOrHarmless(String what)
      throws Exception {
    for (String name : List.of("lock", "witness", "creating", "leg-0.pmem.badblocks")) {
      Path store = directory.resolve(name + "-" + what);
      Store.builder(store).initialCapacity(4 << 20).open().close();
      Files.deleteIfExists(store.resolve(name));
      put(what, store.resolve(name));
      assertTimeoutPreemptively(
          Duration.ofSeconds(10),
          () -> {
            try (Store opened = Store.open(store)) {
              assertEquals(0, opened.stats().entries());
            } catch (HoldfastException e) {
              assertTrue(String.valueOf(e.getMessage()).contains(store.toString()), e.toString());
            }
          },
          name);
    }
  }

  private void assertTypedError() {
    assertTimeoutPreemptively(
        Duration.ofSeconds(10),
        () -> {
          HoldfastException e = assertThrows(HoldfastException.class, this::open);
          assertTrue(String.valueOf(e.getMessage()).contains(path().toString()), e.toString());
        });
  }

  private static void put(String what, Path at) throws Exception {
    switch (what) {
      case "directory" -> Files.createDirectory(at);
      case "text" -> Files.writeString(at, "not a leg\n");
      case "empty" -> Files.createFile(at);
      case "fifo" -> assertEquals(0, new ProcessBuilder("mkfifo", at.toString()).start().waitFor());
      case "dangling" -> Files.createSymbolicLink(at, Path.of("nowhere"));
      case "loop" -> Files.createSymbolicLink(at, at.getFileName());
      case "device" -> Files.createSymbolicLink(at, Path.of("/dev/zero"));
      default -> {
        byte[] garbage = new byte[8 << 20];
        new java.util.Random(1).nextBytes(garbage);
        Files.write(at, garbage);
      }
    }
  }
}
