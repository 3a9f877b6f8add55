package dev.holdfast.benchmarks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashSet;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

final class DatasetTest {
  private static final int ENTRY = 3;

  private final Dataset data = new Dataset(ByteSize.parse("64K"), 1);
  private final byte[] value = new byte[Dataset.MAX_VALUE_LENGTH];

  private int put(int index) {
    long version = data.begin(index);
    int length = data.value(index, version, value);
    data.acknowledge(index, version);
    return length;
  }

  @Test
  void valuesMakeUpTheSizeAndAreOfMixedLengthsAroundOneKibibyte() {
    Dataset large = new Dataset(ByteSize.parse("4M"), 1);
    assertTrue(large.bytes() >= 4 << 20 && large.bytes() < (4 << 20) + Dataset.MAX_VALUE_LENGTH);
    double mean = (double) large.bytes() / large.entries();
    assertTrue(mean > 950 && mean < 1110, "mean length " + mean);
    var lengths = new HashSet<Integer>();
    for (int i = 0; i < large.entries(); i++) {
      lengths.add(large.valueLength(i, 1));
    }
    assertTrue(lengths.size() > 1000, lengths.size() + " different lengths");
  }

  @Test
  void keysDiffer() {
    var keys = new HashSet<String>();
    byte[] key = new byte[Dataset.KEY_LENGTH];
    for (int i = 0; i < data.entries(); i++) {
      data.key(i, key);
      keys.add(Arrays.toString(key));
    }
    assertEquals(data.entries(), keys.size());
  }

  @Test
  void theSameSeedGivesTheSameBytesAndAnotherGivesOthers() {
    byte[] again = new byte[Dataset.MAX_VALUE_LENGTH];
    byte[] other = new byte[Dataset.MAX_VALUE_LENGTH];
    data.value(ENTRY, 2, value);
    new Dataset(ByteSize.parse("64K"), 1).value(ENTRY, 2, again);
    new Dataset(ByteSize.parse("64K"), 2).value(ENTRY, 2, other);
    assertArrayEquals(value, again);
    assertFalse(Arrays.equals(value, other));
  }

  @Test
  void whatWasPutIsRight() {
    for (int i = 0; i < data.entries(); i++) {
      int length = put(i);
      assertTrue(data.isRight(i, value, length, data.lowest(i)), "entry " + i);
    }
  }

  @Test
  void aMissingEntryIsWrong() {
    put(ENTRY);
    assertFalse(data.isRight(ENTRY, value, -1, data.lowest(ENTRY)));
  }

  @Test
  void everyFlippedByteIsWrong() {
    int length = put(ENTRY);
    for (int i = 0; i < length; i++) {
      value[i] ^= 1;
      assertFalse(data.isRight(ENTRY, value, length, data.lowest(ENTRY)), "byte " + i);
      value[i] ^= 1;
    }
  }

  @Test
  void aShortenedValueIsWrong() {
    int length = put(ENTRY);
    assertFalse(data.isRight(ENTRY, value, length - 1, data.lowest(ENTRY)));
  }

  @Test
  void theValueOfAnotherEntryIsWrong() {
    put(ENTRY + 1);
    int length = put(ENTRY);
    assertFalse(data.isRight(ENTRY + 1, value, length, data.lowest(ENTRY + 1)));
  }

  @Test
  void anOlderVersionThanWasAcknowledgedBeforeTheReadIsWrong() {
    put(ENTRY);
    put(ENTRY);
    int length = data.value(ENTRY, 1, value);
    assertFalse(data.isRight(ENTRY, value, length, data.lowest(ENTRY)));
  }

  @Test
  void aVersionWhosePutBeganAndDidNotReturnIsRight() {
    put(ENTRY);
    long lowest = data.lowest(ENTRY);
    int length = data.value(ENTRY, data.begin(ENTRY), value);
    assertTrue(data.isRight(ENTRY, value, length, lowest));
  }

  @Test
  void aVersionThatNobodyPutIsWrong() {
    put(ENTRY);
    int length = data.value(ENTRY, 2, value);
    assertFalse(data.isRight(ENTRY, value, length, data.lowest(ENTRY)));
  }

  @Test
  void aKeyTellsItsEntryAndNoOtherBytesDo() {
    byte[] key = new byte[Dataset.KEY_LENGTH];
    for (int i = 0; i < data.entries(); i++) {
      data.key(i, key);
      assertEquals(OptionalInt.of(i), data.indexOf(key));
    }
    key[0] ^= 1;
    assertEquals(OptionalInt.empty(), data.indexOf(key));
    key[0] ^= 1;
    key[15]++;
    assertEquals(OptionalInt.empty(), data.indexOf(key));
    assertEquals(OptionalInt.empty(), data.indexOf(new byte[3]));
  }
}
