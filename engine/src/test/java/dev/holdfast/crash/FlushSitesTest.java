package dev.holdfast.crash;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.MemoryTempDirs;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.PersistenceMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Takes every flush and every fence of the engine away, one after the other by its name, and sees
 * the enumeration fail: what nothing fails without is either not needed or not tested.
 */
@ExtendWith(QuietOpens.class)
class FlushSitesTest {
  private static final int SAMPLE = 16;

  /**
   * Names that no story comes by: what is cut behind a torn record holds no whole one yet; no log
   * was large.
   */
  private static final Set<String> UNREACHED = new TreeSet<>(Set.of("leaf cut", "log records"));

  /**
   * Names whose flushes nothing here misses. "slot restored" says durably again what the device
   * said before it was away: no story loses a device in the middle of a switch, gets it back and
   * loses power. "rows adopted" keeps the order of what an open stores: it takes a second loss of
   * power in the middle of that, and one of a few states then. "debt" is what a leg lacks that is
   * copied to: the others forget that only where nobody wrote for a second or two, and no story
   * copies for so long (L7DeltaTest does, and loses no power). "root repair" is not needed behind a
   * crash: an open looks for the chunks where the root is wrong in all copies.
   */
  private static final Set<String> NOT_MISSED =
      new TreeSet<>(Set.of("debt", "root repair", "rows adopted", "slot restored"));

  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private record Site(String kind, String name) {
    void suppress(CrashRecorder recorder) {
      // A later fence of the same thread would stand in for the one that is missing.
      recorder.separateFences();
      if (kind.equals("flush")) {
        recorder.suppressFlush(name);
      } else {
        recorder.suppressFence(name);
      }
    }
  }

  @Test
  void nothingSurvivesWithoutOneOfItsFlushesOrFences() throws Exception {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("nothingSurvivesWithoutOneOfItsFlushesOrFences: -Dseed=" + seed);
    List<Plan> plans = plans();
    Map<Site, List<Plan>> bySite = new ConcurrentHashMap<>();
    List<Throwable> failures =
        Workers.forEach(
            plans,
            plan -> {
              try (Scratch recorded = Scratch.in(directory)) {
                Story story = plan.recorder().record(recorded.path(), _ -> {});
                for (String site : story.log().flushSites().keySet()) {
                  note(bySite, new Site("flush", site), plan);
                }
                for (String site : story.log().fenceSites().keySet()) {
                  note(bySite, new Site("fence", site), plan);
                }
              }
            });
    assertEquals(List.of(), failures);
    Set<String> reached = new TreeSet<>();
    bySite.keySet().forEach(site -> reached.add(site.name));
    Set<String> unreached = namesInTheSources();
    unreached.removeAll(reached);
    // For a look at a few of them.
    bySite.keySet().removeIf(site -> !site.name.matches(System.getProperty("crash.site", ".*")));
    Map<String, String> killers = new TreeMap<>();
    Set<String> survivors = new TreeSet<>();
    List<Throwable> broken =
        Workers.forEach(
            new ArrayList<>(bySite.entrySet()),
            entry -> {
              Site site = entry.getKey();
              String by = killer(site, plans, entry.getValue(), seed);
              synchronized (killers) {
                if (by == null) {
                  if (!NOT_MISSED.contains(site.name)) {
                    survivors.add(site.toString());
                  }
                } else {
                  killers.put(site.toString(), by);
                }
              }
            });
    killers.forEach((site, by) -> System.out.println(site + ": " + by));
    System.out.println("survivors: " + survivors);
    assertEquals(List.of(), broken);
    assertEquals(Set.of(), survivors);
    assertEquals(UNREACHED, unreached, "no story comes by");
  }

  /** The names that the engine gives to flushes, as far as they stand in the call. */
  private static Set<String> namesInTheSources() throws Exception {
    Pattern call =
        Pattern.compile(
            "(?:storeDurably|storeReconciled|storeToLeg|flush|store|writeSlot|writeNew|writeTail|clearSlot|Area)"
                + "\\(\\s*\"([^\"]+)\"");
    Set<String> names = new TreeSet<>();
    Path sources =
        Stream.of("src/main/java", "engine/src/main/java")
            .map(Path::of)
            .filter(path -> Files.isDirectory(path.resolve("dev/holdfast/tree")))
            .findFirst()
            .orElseThrow();
    try (Stream<Path> files = Files.walk(sources)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".java")).toList()) {
        Matcher matcher = call.matcher(Files.readString(file));
        while (matcher.find()) {
          names.add(matcher.group(1));
        }
      }
    }
    assertTrue(names.contains("record"), () -> "names in the sources: " + names);
    return names;
  }

  private static void note(Map<Site, List<Plan>> bySite, Site site, Plan plan) {
    bySite
        .computeIfAbsent(site, _ -> java.util.Collections.synchronizedList(new ArrayList<>()))
        .add(plan);
  }

  /** What fails without a site; null if nothing does. */
  private @org.jspecify.annotations.Nullable String killer(
      Site site, List<Plan> order, List<Plan> concerned, long seed) {
    for (Plan plan : order) {
      if (concerned.contains(plan)) {
        try {
          plan.check(directory, site::suppress, SAMPLE, seed, ConcurrentHashMap.newKeySet());
        } catch (AssertionError e) {
          return String.valueOf(e.getMessage());
        }
      }
    }
    return null;
  }

  /** Short ones first. */
  private List<Plan> plans() throws Exception {
    List<Plan> plans = new ArrayList<>();
    for (boolean mirrored : new boolean[] {false, true}) {
      Path made = Files.createDirectory(directory.resolve("base-" + mirrored));
      Base base = Base.make(mirrored, made, directory);
      for (PersistenceMode mode : List.of(PersistenceMode.DAX, PersistenceMode.FILE)) {
        Setup setup = new Setup(mode, mirrored);
        for (Step step : Step.values()) {
          Plan plan = Plan.of(setup, base, List.of(step));
          plans.add(new Plan(plan.name(), plan.recorder(), 64));
        }
        // In FILE mode there are few flushes of its own.
        int every = mode == PersistenceMode.DAX ? 2 : 12;
        plans.addAll(CrashEnumerationTest.special(setup, base, directory, every));
      }
    }
    return plans;
  }
}
