package dev.holdfast.pmem.planted;

/** Takes the segment over all memory from the gateway. */
final class ReachesEverything {
  private ReachesEverything() {}

  static long everything() {
    return Gateway.ALL.byteSize();
  }
}
