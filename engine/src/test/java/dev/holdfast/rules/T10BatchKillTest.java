package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.holdfast.Store;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rule T10: a process that is killed in the middle of batches leaves each as a whole, or not. */
final class T10BatchKillTest {
  private static final int KILLS = 12;
  private static final int LONGEST_BURST_MILLIS = 60;

  @TempDir(factory = FastPlace.class)
  Path directory;

  private final long[] acknowledged = new long[ChildBatches.GROUPS];
  private final long[] begun = new long[ChildBatches.GROUPS];

  @ParameterizedTest
  @ValueSource(strings = {"mirror", "single"})
  @Timeout(240)
  void everyKillLeavesBatchesWhole(String topology) throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("everyKillLeavesBatchesWhole " + topology + ": -Dseed=" + seed);
    Random random = new Random(seed);
    Path place = directory.resolve("s");
    int caught = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      runAndKill(place, topology, random.nextLong(1_000_000L * LONGEST_BURST_MILLIS));
      for (int group = 0; group < ChildBatches.GROUPS; group++) {
        caught += begun[group] > acknowledged[group] ? 1 : 0;
      }
      try (Store store = Store.open(place)) {
        for (int group = 0; group < ChildBatches.GROUPS; group++) {
          check(store, group);
        }
      }
    }
    System.out.println(
        "  versions " + acknowledged[0] + ", " + acknowledged[1] + ", kills in a batch: " + caught);
    assertTrue(caught >= KILLS / 2, "expected kills in the middle of batches, was " + caught);
  }

  private void check(Store store, int group) {
    // The first key is there in every version.
    byte[] first = store.get(ChildBatches.key(group, 0));
    long version = first == null ? 0 : ByteBuffer.wrap(first).getLong();
    if (version != acknowledged[group] && version != begun[group]) {
      fail(
          "group "
              + group
              + ": expected version "
              + acknowledged[group]
              + " or "
              + begun[group]
              + ", was "
              + version);
    }
    for (int i = 0; i < ChildBatches.keys(group); i++) {
      assertArrayEquals(
          ChildBatches.value(group, i, version),
          store.get(ChildBatches.key(group, i)),
          "group " + group + ", key " + i + ", version " + version);
    }
    acknowledged[group] = version;
    begun[group] = version;
  }

  private void runAndKill(Path place, String topology, long nanos)
      throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx128m",
                "-cp",
                System.getProperty("java.class.path"),
                ChildBatches.class.getName(),
                place.toString(),
                topology,
                Long.toString(acknowledged[0] + 1),
                Long.toString(acknowledged[1] + 1))
            .redirectError(
                ProcessBuilder.Redirect.appendTo(directory.resolve("child.log").toFile()))
            .start();
    boolean armed = false;
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getInputStream(), US_ASCII))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ", 4);
        int group = Integer.parseInt(words[1]);
        long version = Long.parseLong(words[2]);
        switch (words[0]) {
          case "b" -> begun[group] = version;
          case "a" -> acknowledged[group] = version;
          default -> fail("the child failed: " + line);
        }
        if (!armed && acknowledged[0] > 0 && acknowledged[1] > 0 && words[0].equals("a")) {
          armed = true;
          CompletableFuture.delayedExecutor(nanos, TimeUnit.NANOSECONDS)
              .execute(() -> process.toHandle().destroyForcibly());
        }
      }
    } finally {
      process.destroyForcibly();
    }
    process.waitFor();
    assertTrue(armed, "the child died before it wrote anything");
  }
}
