package dev.holdfast.crash;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.MemoryTempDirs;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every sequence of one or two operations, power cut at every store, flush and fence, and every
 * state that a cut there can leave, or a sample: reopened, compared, gone on with, compared.
 */
@ExtendWith(QuietOpens.class)
class CrashEnumerationTest {
  /** Of more than {@link dev.holdfast.pmem.CrashLog#EXHAUSTIVE} states so many are visited. */
  private static final int SAMPLE = Integer.getInteger("crash.sample", 40);

  /**
   * About so many states are visited at a point of the second operation: each of the first one is
   * visited where that is alone. All of them, where there are no more than {@code EXHAUSTIVE}, take
   * an hour: {@code -Dcrash.pairs=4096}.
   */
  private static final int PAIR_LIMIT = Integer.getInteger("crash.pairs", 20);

  private static final int LEAST_STATES = 100_000;

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  @Test
  void everySequenceOfTwoOperations() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("everySequenceOfTwoOperations: -Dseed=" + seed);
    List<Plan> plans = new ArrayList<>();
    for (boolean mirrored : new boolean[] {true, false}) {
      Path made = Files.createDirectory(directory.resolve("base-" + mirrored));
      Base base = Base.make(mirrored, made, directory);
      for (PersistenceMode mode : List.of(PersistenceMode.DAX, PersistenceMode.FILE)) {
        Setup setup = new Setup(mode, mirrored);
        for (Step first : Step.values()) {
          plans.add(Plan.of(setup, base, List.of(first)));
          for (Step second : Step.values()) {
            plans.add(Plan.of(setup, base, List.of(first, second), PAIR_LIMIT));
          }
        }
      }
    }
    int share = Integer.getInteger("crash.share", 1);
    Collections.shuffle(plans, new Random(seed));
    plans.subList(plans.size() / share, plans.size()).clear();
    Set<Long> seen = ConcurrentHashMap.newKeySet();
    List<Throwable> failures =
        Workers.forEach(plans, plan -> plan.check(directory, _ -> {}, SAMPLE, seed, seen));
    System.out.println(
        "everySequenceOfTwoOperations: "
            + plans.size()
            + " sequences, "
            + seen.size()
            + " distinct states");
    failures.forEach(failure -> System.out.println("FAILED " + failure.getMessage()));
    assertTrue(failures.isEmpty(), () -> failures.size() + " failed: " + failures.getFirst());
    assertTrue(share > 1 || seen.size() >= LEAST_STATES, () -> "distinct states: " + seen.size());
  }

  @Test
  void theRestOfALife() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("theRestOfALife: -Dseed=" + seed);
    List<Plan> plans = new ArrayList<>();
    for (boolean mirrored : new boolean[] {true, false}) {
      Path made = Files.createDirectory(directory.resolve("base-" + mirrored));
      Base base = Base.make(mirrored, made, directory);
      for (PersistenceMode mode : List.of(PersistenceMode.DAX, PersistenceMode.FILE)) {
        plans.addAll(special(new Setup(mode, mirrored), base, directory, 4));
      }
    }
    Set<Long> seen = ConcurrentHashMap.newKeySet();
    List<Throwable> failures =
        Workers.forEach(plans, plan -> plan.check(directory, _ -> {}, 8, seed, seen));
    System.out.println(
        "theRestOfALife: " + plans.size() + " stories, " + seen.size() + " distinct states");
    failures.forEach(failure -> System.out.println("FAILED " + failure.getMessage()));
    assertTrue(failures.isEmpty(), () -> failures.size() + " failed: " + failures.getFirst());
  }

  /**
   * All other stories.
   *
   * @param every at every so many points power is cut, and cut again later
   */
  static List<Plan> special(Setup setup, Base base, Path scratch, int every) {
    List<Plan> plans = new ArrayList<>();
    for (Special special : Special.values()) {
      if (special.isFor(setup)) {
        plans.add(Plan.of(setup, base, special, 8));
      }
    }
    for (Plan plan :
        List.of(
            Plan.of(setup, base, List.of(Step.OVERWRITE)),
            Plan.of(setup, base, List.of(Step.OVERWRITE_EXTENT)),
            Plan.of(setup, base, List.of(Step.SPLIT)),
            Plan.of(setup, base, Special.FIRST_EXTENT, 1),
            Plan.of(setup, base, Special.ASCENDING, 1),
            Plan.of(setup, base, Special.MERGE, 1))) {
      plans.addAll(Plan.recoveries(plan, base, Plan.Then.RECOVER, 3 * every, 2, scratch));
      if (setup.mirrored()) {
        plans.addAll(Plan.recoveries(plan, base, Plan.Then.RECOVER_ALONE, 3 * every, 2, scratch));
        plans.addAll(Plan.recoveries(plan, base, Plan.Then.LOSE_A_LEG, every, 2, scratch));
        plans.addAll(
            Plan.recoveries(plan, base, Plan.Then.LOSE_A_LEG_LATER, 3 * every, 2, scratch));
      }
    }
    Plan split = Plan.of(setup, base, List.of(Step.SPLIT));
    plans.addAll(Plan.recoveries(split, base, Plan.Then.REWRITE, 3 * every, 2, scratch));
    return plans;
  }
}
