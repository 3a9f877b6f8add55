package dev.holdfast.rmap;

import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The owned extents of a volume by offset. Because they are disjoint, one order serves both ends.
 */
final class OwnerIndex {
  private final ConcurrentSkipListMap<Long, OwnedExtent> byOffset = new ConcurrentSkipListMap<>();

  void add(OwnedExtent extent) {
    OwnedExtent before = byOffset.put(extent.offset(), extent);
    // Looked at after the put, so that of two that overlap and come at once at least one sees it.
    assert before == null : overlap(extent, before);
    assert isDisjoint(extent);
  }

  @SuppressWarnings("ReferenceEquality") // the space may have a new owner that looks the same
  void remove(OwnedExtent extent) {
    byOffset.computeIfPresent(
        extent.offset(), (offset, present) -> present == extent ? null : present);
  }

  void visit(long offset, long length, Consumer<? super OwnedExtent> consumer) {
    long end = offset + length;
    Map.Entry<Long, OwnedExtent> before = byOffset.lowerEntry(offset);
    if (before != null && length > 0 && end(before.getValue()) > offset) {
      consumer.accept(before.getValue());
    }
    byOffset.subMap(offset, end).values().forEach(consumer);
  }

  private boolean isDisjoint(OwnedExtent extent) {
    Map.Entry<Long, OwnedExtent> before = byOffset.lowerEntry(extent.offset());
    Map.Entry<Long, OwnedExtent> after = byOffset.higherEntry(extent.offset());
    assert before == null || end(before.getValue()) <= extent.offset()
        : overlap(extent, before.getValue());
    assert after == null || end(extent) <= after.getKey() : overlap(extent, after.getValue());
    return true;
  }

  private static long end(OwnedExtent extent) {
    return extent.offset() + extent.length();
  }

  private static String overlap(OwnedExtent extent, @Nullable OwnedExtent other) {
    return "owned extents: expected disjoint ones, were " + describe(extent) + describe(other);
  }

  private static String describe(@Nullable OwnedExtent extent) {
    return extent == null ? "" : " [" + extent.offset() + ", +" + extent.length() + ")";
  }
}
