package dev.holdfast;

import static dev.holdfast.TestStores.crashImage;
import static dev.holdfast.TestStores.fill;
import static dev.holdfast.TestStores.key;
import static dev.holdfast.TestStores.largeValueOf;
import static dev.holdfast.TestStores.recordOf;
import static dev.holdfast.TestStores.value;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.error.HoldfastException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.error.StoreLockedException;
import dev.holdfast.health.ScrubFault;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.rules.FastPlace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is said of a store that nobody has open, and that nothing of it is changed. */
@Timeout(60)
final class VerifyTest {
  private static final int KEYS = 3_000;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private Path place() {
    return directory.resolve("s");
  }

  private StoreBuilder builder() {
    return Store.builder(place()).initialCapacity(4 << 20);
  }

  /** What a store is made of, but the file that says who has it open. */
  private Map<String, byte[]> contents() throws IOException {
    Map<String, byte[]> contents = new TreeMap<>();
    try (Stream<Path> files = Files.list(place())) {
      for (Path file : files.toList()) {
        if (!file.getFileName().toString().equals("lock")) {
          contents.put(file.getFileName().toString(), Files.readAllBytes(file));
        }
      }
    }
    return contents;
  }

  /** Verifies, and compares all bytes before and after. */
  private VerifyReport verify() throws IOException {
    Map<String, byte[]> before = contents();
    VerifyReport report = Store.verify(place());
    Map<String, byte[]> after = contents();
    assertEquals(before.keySet(), after.keySet());
    before.forEach((file, bytes) ->
        assertEquals(-1, Arrays.mismatch(bytes, after.get(file)), file + " was changed"));
    return report;
  }

  private EmulatedDevice device(int leg) {
    return EmulatedDevice.open(place().resolve("leg-" + leg + ".pmem"), PersistenceMode.PROCESS);
  }

  private static boolean names(VerifyReport.Finding finding, byte[] key) {
    return finding.keys().stream().anyMatch(each -> Arrays.equals(each, key));
  }

  @Test
  void aStoreThatIsRightIsWhole() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      store.put(key(KEYS), value(KEYS, 100_000));
    }
    VerifyReport report = verify();
    assertTrue(report.isWhole(), report::toString);
    assertTrue(report.closedInOrder());
    assertTrue(report.records() > KEYS, report::toString);
    assertTrue(report.bytesRead() > 2 * 100_000, report::toString);
    try (Store _ = builder().open()) {
      assertThrows(StoreLockedException.class, () -> Store.verify(place()));
    }
  }

  @Test
  void whatIsWrongOnOneLegIsReportedByPlaceAndKey() throws Exception {
    StoreExtent record;
    StoreExtent large;
    StoreExtent other;
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      store.put(key(KEYS), value(KEYS, 100_000));
      record = recordOf(store, key(1_000));
      large = largeValueOf(store, key(KEYS));
      other = recordOf(store, key(2_500));
    }
    try (EmulatedDevice device = device(0)) {
      device.faults().flipBit(record.offset() + record.length() - 8, 3);
      device.faults().flipBit(large.offset() + 50_000, 1);
    }
    try (EmulatedDevice device = device(1)) {
      device.faults().poison(other.offset(), 1);
    }
    VerifyReport report = verify();
    assertFalse(report.isWhole());
    assertEquals(List.of(), report.lost());
    assertEquals(3, report.findings().size(), report::toString);
    List<VerifyReport.Finding> wrong = new ArrayList<>(report.findings());
    wrong.removeIf(finding -> finding.fault() == ScrubFault.POISON);
    assertEquals(2, wrong.size());
    for (VerifyReport.Finding finding : wrong) {
      assertEquals(0, finding.leg());
      assertEquals(ScrubFault.WRONG_BYTES, finding.fault());
      assertFalse(finding.isOnNoLeg());
      boolean isLarge = names(finding, key(KEYS));
      StoreExtent place = isLarge ? large : record;
      assertTrue(isLarge || names(finding, key(1_000)), report::toString);
      assertTrue(
          finding.offset() < place.offset() + place.length()
              && place.offset() < finding.offset() + finding.length(),
          () -> finding + " is not at " + place);
    }
    VerifyReport.Finding poison =
        report.findings().stream()
            .filter(finding -> finding.fault() == ScrubFault.POISON)
            .findFirst()
            .orElseThrow();
    assertEquals(1, poison.leg());
    assertTrue(names(poison, key(2_500)), report::toString);
    // Nothing was repaired, so it is found again, and an open repairs it.
    assertEquals(3, verify().findings().size());
    try (Store store = builder().open()) {
      assertArrayEquals(value(1_000), store.get(key(1_000)));
      store.scrub();
      TestStores.awaitRepaired(store);
    }
    assertTrue(verify().isWhole());
  }

  @Test
  void whatIsOnNoLegIsLost() throws Exception {
    StoreExtent record;
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      record = recordOf(store, key(1_000));
    }
    for (int leg = 0; leg < 2; leg++) {
      try (EmulatedDevice device = device(leg)) {
        device.faults().flipBit(record.offset() + record.length() - 8, 3);
      }
    }
    VerifyReport report = verify();
    assertFalse(report.isWhole());
    assertFalse(report.lost().isEmpty());
    assertTrue(
        report.lost().stream()
            .anyMatch(lost ->
                lost.offset() < record.offset() + record.length()
                    && record.offset() < lost.offset() + lost.length()),
        report::toString);
    verify();
  }

  @Test
  void aLegThatIsMissingIsSaidToBe() throws Exception {
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
    }
    Files.delete(place().resolve("leg-1.pmem"));
    VerifyReport report = verify();
    assertFalse(report.isWhole());
    assertEquals(List.of(), report.findings());
    assertEquals(2, report.legs().size());
  }

  @Test
  void whatACrashLeftIsVerifiedAsItIs() throws Exception {
    Path image = directory.resolve("image");
    try (Store store = builder().open()) {
      fill(store, 0, KEYS);
      Path _ = crashImage(place(), image);
    }
    VerifyReport report = Store.verify(image);
    assertFalse(report.closedInOrder());
    assertEquals(List.of(), report.findings());
    assertEquals(List.of(), report.lost());
    assertTrue(report.records() >= KEYS);
  }

  @Test
  void whereNoStoreIsNothingIsMade() throws Exception {
    assertThrows(InvalidImageException.class, () -> Store.verify(place()));
    assertFalse(Files.exists(place()));
    // One whose making was cut short is removed by the next open, and not by a look at it.
    Files.createDirectory(place());
    Path leg = Files.writeString(place().resolve("leg-0.pmem"), "half");
    Files.writeString(place().resolve("creating"), leg + "\n");
    assertThrows(InvalidImageException.class, () -> Store.verify(place()));
    assertTrue(Files.exists(leg));
  }

  @Test
  void whatIsNoStoreIsRefusedAndStays() throws Exception {
    try (Store store = builder().single().open()) {
      fill(store, 0, 10);
    }
    byte[] garbage = new byte[4 << 20];
    Arrays.fill(garbage, (byte) 7);
    Files.write(place().resolve("leg-0.pmem"), garbage);
    assertThrows(HoldfastException.class, () -> Store.verify(place()));
    assertArrayEquals(garbage, Files.readAllBytes(place().resolve("leg-0.pmem")));
  }
}
