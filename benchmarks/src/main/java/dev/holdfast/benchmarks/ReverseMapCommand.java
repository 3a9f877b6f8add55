package dev.holdfast.benchmarks;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.openjdk.jmh.results.RunResult;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The command line of the reverse map benchmark. */
@Command(
    name = "rmap",
    abbreviateSynopsis = true,
    description = {
      "Reverse map: register and drop a mapping, look a page up (JMH).",
      "",
      "At several populations of live mappings and owned extents, with one and with two threads;"
          + " the score is the time that one thread needs.",
      "",
      "Bar: registering and dropping a mapping ≤ 50 ns beside 16 live ones, as a store with some"
          + " cursors and reads under way has. Exit code 1 if it is missed. With a thousand or a"
          + " million live ones, what it costs are cache misses.",
      ""
    })
final class ReverseMapCommand implements Callable<Integer> {
  private static final int[] THREADS = {1, 2};
  private static final String POPULATION = "population";

  /** The live mappings of a store under load. */
  private static final String USUAL_POPULATION = "16";

  @Mixin private final CommonOptions common = new CommonOptions();

  @Override
  public Integer call() throws Exception {
    common.requireWritable();
    List<RunResult> results = new ArrayList<>();
    for (int threads : THREADS) {
      var options = JmhRun.options(ReverseMapBenchmark.class, common).threads(threads);
      if (common.quick()) {
        options.param(POPULATION, USUAL_POPULATION);
      }
      results.addAll(JmhRun.run(options));
    }
    JmhRun.write(results, common.json());
    List<Bar> bars = bars(results);
    common.out().println(JmhRun.table(results));
    bars.forEach(common.out()::println);
    common.out().flush();
    return bars.stream().allMatch(Bar::passes) ? 0 : 1;
  }

  private static List<Bar> bars(Collection<RunResult> results) {
    return results.stream()
        .filter(run -> run.getParams().getBenchmark().endsWith(".registerAndDrop"))
        .filter(run -> USUAL_POPULATION.equals(run.getParams().getParam(POPULATION)))
        .map(run ->
            new Bar(
                JmhRun.name(run.getParams()) + ", threads " + run.getParams().getThreads(),
                "register and drop",
                Optional.of(run.getPrimaryResult().getScore()),
                Bar.REGISTER_AND_DROP_NANOS,
                Bar.Unit.NANOSECONDS))
        .toList();
  }
}
