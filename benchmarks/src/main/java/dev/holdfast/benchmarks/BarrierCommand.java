package dev.holdfast.benchmarks;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The command line of the barrier benchmark. */
@Command(
    name = "barrier",
    abbreviateSynopsis = true,
    description = {"Fault barrier: its cost alone, behind a load, behind a copy (JMH).", ""})
final class BarrierCommand implements Callable<Integer> {
  @Mixin private final CommonOptions common = new CommonOptions();

  @Override
  public Integer call() throws Exception {
    common.requireWritable();
    var results = JmhRun.run(JmhRun.options(BarrierBenchmark.class, common));
    JmhRun.write(results, common.json());
    common.out().print(JmhRun.table(results));
    common.out().flush();
    return 0;
  }
}
