package dev.holdfast.volume;

import dev.holdfast.health.RangeOrigin;
import dev.holdfast.health.RangeState;

/** How the superblock writes what is on record of a range; see {@code docs/data-file.md}. */
final class RangeCodes {
  private RangeCodes() {}

  static byte of(RangeState state) {
    return switch (state) {
      case UNACKED -> 0;
      case ACKED -> 1;
      case CLEARED -> 2;
    };
  }

  static byte of(RangeOrigin origin) {
    return switch (origin) {
      case ACCESS -> 0;
      case SCRUB -> 1;
      case NOTIFICATION -> 2;
      case DEVICE_LIST -> 3;
      case RESILVER -> 4;
    };
  }

  static RangeState state(int code) {
    for (RangeState each : RangeState.values()) {
      if (of(each) == code) {
        return each;
      }
    }
    throw new IllegalArgumentException("state of a range: was " + code);
  }

  static RangeOrigin origin(int code) {
    for (RangeOrigin each : RangeOrigin.values()) {
      if (of(each) == code) {
        return each;
      }
    }
    throw new IllegalArgumentException("origin of a range: was " + code);
  }
}
