package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.FaultContender;
import dev.holdfast.pmem.LoopXfs;
import dev.holdfast.pmem.PersistenceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The command line of the benchmark that takes the files of stores away. */
@Command(
    name = "peers-fault",
    abbreviateSynopsis = true,
    description = {
      "Takes the file system away under stores that are in use, ours and others.",
      "",
      "Who lives, who goes on to acknowledge, and what of that is there afterwards.",
      "",
      "Each store runs in a JVM of its own, on an XFS of its own on a loop device (ours, mirrored,"
          + " on two), loaded and synced, while one thread writes and one reads and checks. Then"
          + " the XFS is shut down (xfs_io -x -c shutdown); in a second run all of its files are"
          + " truncated just before. Ours has it mounted again while it runs, the others once they"
          + " are closed, as they keep it busy; then every entry is read. \"acknowledged after the"
          + " loss\" are writes that began after the shutdown had returned. \"from before, gone\""
          + " are entries: in the class PROCESS, what is acknowledged is in memory and may go with"
          + " the file system. It needs root, and xfsprogs.",
      "",
      "Exit code 1 if ours, mirrored, lost a write, answered wrongly, failed or did not come back.",
      ""
    })
final class PeersFaultCommand implements Callable<Integer> {
  private static final long ROOM = 1536L << 20;

  @Mixin private final CommonOptions common = new CommonOptions();

  @Option(
      names = "--stores",
      split = ",",
      paramLabel = "STORE",
      description = "which, by their names; default all: ${COMPLETION-CANDIDATES}")
  private @Nullable List<FaultContender> stores;

  @Option(
      names = "--persistence",
      paramLabel = "MODE",
      defaultValue = "process",
      description =
          "process or file: whether acknowledged writes are flushed (default: ${DEFAULT-VALUE});"
              + " Chronicle Map offers process only")
  private PersistenceMode persistence = PersistenceMode.PROCESS;

  @Option(
      names = "--entries",
      paramLabel = "N",
      defaultValue = "50000",
      description = "entries of 16 + 100 bytes (default: ${DEFAULT-VALUE})")
  private int entries;

  @Option(
      names = "--markdown",
      paramLabel = "FILE",
      description = "where to write the table, as it stands in the README")
  private @Nullable Path markdown;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      description = "where the file systems lie (default: /dev/shm); what is made is removed")
  private @Nullable Path directory;

  @Override
  public Integer call() throws Exception {
    String missing = LoopXfs.missing();
    if (missing != null) {
      throw new Place.BadPlaceException("peers-fault: " + missing);
    }
    common.requireWritable();
    PeersFaultRun.Settings settings =
        new PeersFaultRun.Settings(
            entries,
            Duration.ofSeconds(common.quick() ? 1 : 3),
            Duration.ofSeconds(common.quick() ? 3 : 10),
            persistence);
    List<FaultContender> chosen = stores == null ? List.of(FaultContender.values()) : stores;
    List<PeersFaultResult> results = new ArrayList<>();
    for (boolean truncated : new boolean[] {false, true}) {
      for (FaultContender peer : chosen) {
        common.progress(peer.title() + (truncated ? ": truncated and shut down" : ": shut down"));
        results.add(run(peer, truncated, settings));
      }
    }
    common.out().print(PeersFaultReport.table(results));
    results.stream()
        .filter(result -> result.firstError() != null)
        .forEach(result ->
            common
                .out()
                .println(
                    result.peer().title() + ", " + result.fault() + ": " + result.firstError()));
    common.out().flush();
    Path json = common.json();
    if (json != null) {
      Files.writeString(json, JsonWriter.write(PeersFaultReport.json(settings, results)));
    }
    if (markdown != null) {
      Files.writeString(markdown, PeersFaultReport.markdown(results));
    }
    return results.stream().allMatch(PeersFaultCommand::holds) ? 0 : 1;
  }

  private PeersFaultResult run(
      FaultContender peer, boolean truncated, PeersFaultRun.Settings settings)
      throws IOException, InterruptedException {
    try (Place place = Place.create(directory, PersistenceMode.PROCESS, ROOM)) {
      return new PeersFaultRun(peer, truncated, settings, place.directory()).run();
    }
  }

  private static boolean holds(PeersFaultResult result) {
    return result.peer() != FaultContender.HOLDFAST
        || (result.death() == null
            && result.goneAfter() + result.goneBefore() == 0
            && result.wrong() + result.failedWrites() + result.failedReads() == 0
            && result.afterReturn().startsWith("back"));
  }
}
