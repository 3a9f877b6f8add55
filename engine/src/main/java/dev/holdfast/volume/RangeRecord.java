package dev.holdfast.volume;

import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;
import java.util.UUID;

/**
 * What is on record of a range that is bad, or was.
 *
 * @param device the device that it is a range of, whatever leg that is
 * @param offset the first byte, device-relative
 * @param length the number of bytes
 * @param state how far it has come
 * @param origin who found it, the last time that it failed
 * @param count how often it failed
 * @param firstSeen when it failed first, in milliseconds since 1970
 * @param lastSeen when it failed last, likewise
 * @param since when it came to its state, likewise
 */
public record RangeRecord(
    UUID device,
    long offset,
    long length,
    RangeState state,
    RangeOrigin origin,
    int count,
    long firstSeen,
    long lastSeen,
    long since) {
  long end() {
    return offset + length;
  }

  boolean isLive() {
    return state != RangeState.CLEARED;
  }

  boolean overlaps(UUID other, long from, long bytes) {
    return device.equals(other) && offset < from + bytes && from < end();
  }

  RangeRecord part(long from, long to) {
    return new RangeRecord(
        device, from, to - from, state, origin, count, firstSeen, lastSeen, since);
  }

  RangeRecord in(RangeState next, long now) {
    return new RangeRecord(device, offset, length, next, origin, count, firstSeen, lastSeen, now);
  }

  /** The same, once it failed again. */
  RangeRecord again(RangeOrigin by, long now) {
    int more = count == Integer.MAX_VALUE ? count : count + 1;
    long from = isLive() ? since : now;
    RangeState next = isLive() ? state : RangeState.UNACKED;
    return new RangeRecord(device, offset, length, next, by, more, firstSeen, now, from);
  }

  /** Whether another range is the next one, and all else of it is the same. */
  boolean goesOnWith(RangeRecord next) {
    return end() == next.offset
        && next.equals(
            new RangeRecord(
                device,
                next.offset,
                next.length,
                state,
                origin,
                count,
                firstSeen,
                lastSeen,
                since));
  }
}
