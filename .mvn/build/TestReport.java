import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;

/**
 * Reads the reports of all tests of this build, says what ran, and fails if something that has to
 * run did not: a skipped test proves nothing, and a green build must not hide it.
 *
 * <p>Arguments: the folder of the whole project, and when the build began (reports of earlier
 * builds do not count).
 */
final class TestReport {
  /** Modules whose tests carry the promises. */
  private static final List<String> MODULES = List.of("pmem-backend", "engine", "examples");

  private static final String LAST_MODULE = "benchmarks";

  /**
   * Fault, child-process and model tests that must be among those that ran, by module. Every other
   * test class that is there must have run, too; these must be there.
   */
  private static final Map<String, List<String>> MUST_RUN =
      Map.of(
          "pmem-backend",
          List.of(
              "dev.holdfast.pmem.GatewayProofTest",
              "dev.holdfast.pmem.BadBlockListTest",
              "dev.holdfast.pmem.CrashLogTest",
              "dev.holdfast.pmem.CrashPlaceTest",
              "dev.holdfast.pmem.DeviceRaceTest",
              "dev.holdfast.pmem.EmulatedDeviceTest",
              "dev.holdfast.pmem.FaultInjectorReportTest",
              "dev.holdfast.pmem.PoisonTest",
              "dev.holdfast.pmem.RemovalTest",
              "dev.holdfast.pmem.DaxDeviceTest",
              "dev.holdfast.pmem.PmemArchitectureTest",
              "dev.holdfast.architecture.RuleSelfTest"),
          "engine",
          List.of(
              "dev.holdfast.ArchitectureTest",
              "dev.holdfast.ConcurrentModelTest",
              "dev.holdfast.FailoverTest",
              "dev.holdfast.FaultPathsTest",
              "dev.holdfast.LeaseProofTest",
              "dev.holdfast.ModulePathTest",
              "dev.holdfast.StoreTest",
              "dev.holdfast.crash.CrashEnumerationTest",
              "dev.holdfast.crash.FlushSitesTest",
              "dev.holdfast.VirtualThreadsTest",
              "dev.holdfast.history.LinearizabilityTest",
              "dev.holdfast.history.RecordedHistoriesTest",
              "dev.holdfast.rmap.MappingsStressTest",
              "dev.holdfast.policy.FailurePolicyTest",
              "dev.holdfast.rules.KillTest",
              "dev.holdfast.rules.L1GetTest",
              "dev.holdfast.rules.L2PutTest",
              "dev.holdfast.rules.L3LossOfALegTest",
              "dev.holdfast.rules.L4LossOfAPageTest",
              "dev.holdfast.rules.L5WhoMayOpenTest",
              "dev.holdfast.rules.L6DirtyRegionsTest",
              "dev.holdfast.rules.L7ResilverTest",
              "dev.holdfast.rules.L8WitnessTest",
              "dev.holdfast.rules.T1LeavesTest",
              "dev.holdfast.rules.T2RecordsTest",
              "dev.holdfast.rules.T3DamageTest",
              "dev.holdfast.rules.T4PointIndexTest",
              "dev.holdfast.rules.T5OrderIndexTest",
              "dev.holdfast.rules.T7LeafTableTest",
              "dev.holdfast.rules.T8FileModeTest",
              "dev.holdfast.rules.T8PowerLossTest",
              "dev.holdfast.rules.T9SequencesTest",
              "dev.holdfast.rules.T11FormatTest"),
          "examples",
          List.of(
              "dev.holdfast.examples.ExamplesArchitectureTest",
              "dev.holdfast.examples.plugpull.FaultTest",
              "dev.holdfast.examples.plugpull.PlantedDefectTest"),
          LAST_MODULE,
          List.of("dev.holdfast.benchmarks.BenchmarksArchitectureTest"));

  private int passed;
  private int failed;
  private int skipped;
  private final List<String> complaints = new ArrayList<>();

  public static void main(String[] args) throws Exception {
    Path project = Path.of(args[0]);
    Instant begin = Instant.parse(args[1]);
    TestReport report = new TestReport();
    for (String module : MODULES) {
      report.read(project.resolve(module), module, begin);
    }
    report.read(project.resolve(LAST_MODULE), LAST_MODULE, begin);
    report.finish(project);
  }

  private void read(Path folder, String module, Instant begin) throws Exception {
    int passedBefore = passed;
    int failedBefore = failed;
    int skippedBefore = skipped;
    Set<String> ran = new TreeSet<>();
    for (Path file : reports(folder.resolve("target/surefire-reports"))) {
      if (!Files.getLastModifiedTime(file).toInstant().isBefore(begin)) {
        read(file, ran);
      }
    }
    System.out.printf(
        "%-14s %5d passed, %d failed, %d skipped%n",
        module, passed - passedBefore, failed - failedBefore, skipped - skippedBefore);
    if (ran.isEmpty() && MODULES.contains(module)) {
      complaints.add(module + ": no test ran in this build");
    }
    Set<String> due = new TreeSet<>(MUST_RUN.getOrDefault(module, List.of()));
    due.addAll(testClasses(folder.resolve("src/test/java")));
    for (String name : due) {
      if (!ran.contains(name)) {
        complaints.add(module + ": " + name + " did not run in this build");
      }
    }
  }

  /** The names of the test classes that the sources have. */
  private static List<String> testClasses(Path sources) throws IOException {
    if (!Files.isDirectory(sources)) {
      return List.of();
    }
    try (var files = Files.walk(sources)) {
      return files
          .map(file -> sources.relativize(file).toString())
          .filter(name -> name.endsWith("Test.java"))
          .map(name -> name.substring(0, name.length() - ".java".length()).replace('/', '.'))
          .toList();
    }
  }

  private static List<Path> reports(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (var files = Files.list(folder)) {
      return files
          .filter(f -> f.getFileName().toString().matches("TEST-.*\\.xml"))
          .sorted()
          .toList();
    }
  }

  private void read(Path file, Set<String> ran) throws Exception {
    var document = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(file.toFile());
    var cases = document.getElementsByTagName("testcase");
    for (int i = 0; i < cases.getLength(); i++) {
      Element test = (Element) cases.item(i);
      String name = test.getAttribute("classname");
      if (test.getElementsByTagName("skipped").getLength() > 0) {
        skipped++;
        if (onTheMainPlatform()) {
          complaints.add(name + "." + test.getAttribute("name") + " was skipped");
        }
      } else if (test.getElementsByTagName("failure").getLength() > 0
          || test.getElementsByTagName("error").getLength() > 0) {
        failed++;
        complaints.add(name + "." + test.getAttribute("name") + " failed");
      } else {
        passed++;
        ran.add(name);
      }
    }
  }

  /** Elsewhere a test may have to be skipped; here each one can run. */
  private static boolean onTheMainPlatform() {
    return System.getProperty("os.name").equals("Linux")
        && System.getProperty("os.arch").equals("amd64");
  }

  private void finish(Path project) throws IOException {
    Path injector = project.resolve("pmem-backend/target/fault-injector.txt");
    System.out.println(
        "fault injector: "
            + (Files.exists(injector) ? Files.readString(injector).strip() : "not known"));
    if (!Files.exists(injector)) {
      complaints.add("pmem-backend: no test wrote down which fault injector ran");
    }
    for (String complaint : complaints) {
      System.out.println("TESTS: " + complaint);
    }
    System.out.printf("%d passed, %d failed, %d skipped%n", passed, failed, skipped);
    System.exit(complaints.isEmpty() ? 0 : 1);
  }
}
