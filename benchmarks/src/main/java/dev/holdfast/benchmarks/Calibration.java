package dev.holdfast.benchmarks;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * How fast the machine was when a run began.
 *
 * @param chaseNanos of a load from 512 MiB that waits for the one before it
 * @param chaseNanosOfTwo the same by two threads, each of which has its own chain: of the loads of
 *     both
 * @param copyBytesPerNano of a copy of 256 MiB
 */
record Calibration(double chaseNanos, double chaseNanosOfTwo, double copyBytesPerNano) {
  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("chaseNanos", chaseNanos);
    json.put("chaseNanosOfTwo", chaseNanosOfTwo);
    json.put("copyBytesPerNano", copyBytesPerNano);
    return json;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "calibration: a dependent load from 512 MiB %.1f ns, by two threads %.1f ns; copy %.1f"
            + " GB/s",
        chaseNanos,
        chaseNanosOfTwo,
        copyBytesPerNano);
  }
}
