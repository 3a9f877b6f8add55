package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.openjdk.jmh.results.RunResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The command line of the lease benchmark. */
@Command(
    name = "lease",
    abbreviateSynopsis = true,
    description = {
      "Leases: take and close one, read a word and a part of a large value (JMH).",
      "",
      "With one and with two threads; the score is the time that one thread needs. What taking and"
          + " closing costs beyond a get of the same value is the price of the lease.",
      ""
    })
final class LeaseCommand implements Callable<Integer> {
  private static final int[] THREADS = {1, 2};

  @Mixin private final CommonOptions common = new CommonOptions();

  @Override
  public Integer call() throws Exception {
    common.requireWritable();
    List<RunResult> results = new ArrayList<>();
    for (int threads : THREADS) {
      results.addAll(JmhRun.run(JmhRun.options(LeaseBenchmark.class, common).threads(threads)));
    }
    JmhRun.write(results, common.json());
    common.out().print(JmhRun.table(results));
    common.out().flush();
    return 0;
  }
}
