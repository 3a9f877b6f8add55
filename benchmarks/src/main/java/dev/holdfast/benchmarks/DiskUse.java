package dev.holdfast.benchmarks;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;

/** How much room files take. */
final class DiskUse {
  private DiskUse() {}

  /** The blocks that a directory and all in it take, in bytes: holes take none. */
  static long bytes(Path directory) throws IOException, InterruptedException {
    Process du = new ProcessBuilder("du", "-s", "-B1", directory.toString()).start();
    try (BufferedReader lines = du.inputReader()) {
      String line = lines.readLine();
      if (du.waitFor() != 0 || line == null || line.indexOf('\t') < 0) {
        throw new IOException("du " + directory + ": " + line);
      }
      return Long.parseLong(line.substring(0, line.indexOf('\t')));
    }
  }
}
