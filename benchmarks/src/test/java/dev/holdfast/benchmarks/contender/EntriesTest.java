package dev.holdfast.benchmarks.contender;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class EntriesTest {
  private static final int MANY = 1_000_000;

  @Test
  void scatteredIdsAreAllDifferentNotNegativeAndInNoOrder() {
    int[] ids = IntStream.range(0, MANY).map(Entries::scatteredId).toArray();
    long descents = IntStream.range(1, MANY).filter(i -> ids[i] < ids[i - 1]).count();
    assertTrue(descents > MANY / 3 && descents < 2 * MANY / 3, "descents " + descents);
    assertEquals(MANY, Arrays.stream(ids).filter(id -> id >= 0).distinct().count());
  }

  @Test
  void aStringKeyIsItsIdInSixteenDigits() {
    byte[] key = new byte[16];
    Entries.key(KeyKind.STRING, 1_234_567_890, key, 0);
    assertEquals("0000001234567890", new String(key, StandardCharsets.US_ASCII));
  }

  @ParameterizedTest
  @EnumSource
  void keysSortByTheirIds(KeyKind kind) {
    byte[] low = new byte[kind.length()];
    byte[] high = new byte[kind.length()];
    for (int id : new int[] {0, 9, 127, 128, 255, 256, 65_535, 99_999_999, 0x7fff_fffe}) {
      Entries.key(kind, id, low, 0);
      Entries.key(kind, id + 1, high, 0);
      assertTrue(Arrays.compareUnsigned(low, high) < 0, "id " + id);
    }
  }

  @Test
  void theVersionOfAMarkIsThatOfTheValueAndOfNoOtherKey() {
    byte[] value = new byte[Entries.VALUE_LENGTH];
    Entries.value(77, 5, value, 0);
    assertEquals(5, Entries.version(77, Entries.mark(value)));
    assertTrue(Entries.version(Entries.tag(1, 2), Entries.mark(value)) != 5);
    assertEquals(Entries.NONE, Entries.mark(new byte[99]));
  }

  @Test
  void aScanThatIsOutOfOrderOrHasAWrongValueIsSeen() {
    ScanCheck check = new ScanCheck(false);
    check.entry(1, 0, 2 * Entries.tag(1, 0));
    check.entry(2, 0, 2 * Entries.tag(2, 0));
    assertEquals(0, check.wrong());
    check.entry(2, 0, 2 * Entries.tag(2, 0));
    assertEquals(1, check.wrong());
    check.entry(3, 0, 2 * Entries.tag(3, 0) - 1);
    assertEquals(2, check.wrong());
    check.entry(1, 9, 2 * Entries.tag(1, 9));
    assertEquals(3, check.wrong());
    assertEquals(5, check.entries());
  }
}
