package dev.holdfast.index;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** Extents begin on granules, wherever the space that they are taken from ends. */
final class ExtentAllocatorTest {
  private static final long START = 1 << 20;

  @Test
  void spaceThatEndsInsideOfAGranuleIsGivenOutInWholeGranules() {
    ExtentAllocator allocator = new ExtentAllocator(START);
    allocator.restart(START + 100);
    allocator.free(START, RecordFormat.GRANULE);
    allocator.growTo(START + 1000);
    assertEquals(960, allocator.freeBytes());
    for (int i = 0; i < 15; i++) {
      assertEquals(
          START + i * (long) RecordFormat.GRANULE, allocator.allocate(RecordFormat.GRANULE, true));
    }
    assertEquals(ExtentAllocator.NONE, allocator.allocate(RecordFormat.GRANULE, true));
    allocator.growTo(START + 1020);
    assertEquals(0, allocator.freeBytes());
    allocator.growTo(START + 1024);
    assertEquals(START + 960, allocator.allocate(RecordFormat.GRANULE, true));
  }
}
