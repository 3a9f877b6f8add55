package dev.holdfast.proof;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A JVM that proves something by what it counts, and what became of it.
 *
 * @param exitCode its exit code
 * @param crashed whether it wrote an error file of HotSpot
 * @param output what it printed
 * @param counts the lines {@code NAME=NUMBER} of it
 */
public record ProofJvm(int exitCode, boolean crashed, String output, Map<String, Long> counts) {
  private static final long TIME_LIMIT_SECONDS = 60;

  /**
   * Which compilers run, and how many operations come before what is to be proved.
   *
   * @param name for the name of a test
   * @param warmUp that number
   * @param options of the JVM
   */
  public record Compilers(String name, long warmUp, List<String> options) {
    /** Both compilers, one after the other. */
    public static Compilers tiered(long warmUp) {
      return new Compilers("tiered", warmUp, List.of());
    }

    /** None. */
    public static Compilers interpreter(long warmUp) {
      return new Compilers("interpreter", warmUp, List.of("-Xint"));
    }

    /** The first one alone. */
    public static Compilers c1(long warmUp) {
      return new Compilers("C1", warmUp, List.of("-XX:TieredStopAtLevel=1"));
    }

    /** The second one alone, and at once. */
    public static Compilers c2(long warmUp) {
      return new Compilers("C2", warmUp, List.of("-XX:-TieredCompilation", "-Xbatch"));
    }

    @Override
    public String toString() {
      return name;
    }
  }

  /**
   * Runs one to its end.
   *
   * @param directory where it runs, and what it is told first
   * @param classPath where its classes are
   * @throws AssertionError if it does not end within a minute
   */
  public static ProofJvm run(
      Path directory, List<String> options, String classPath, Class<?> main, String... arguments)
      throws IOException, InterruptedException {
    List<String> classes = List.of("-cp", absolute(classPath), main.getName());
    return run(directory, options, classes, arguments);
  }

  /**
   * Runs a module to its end, with no class path.
   *
   * @param directory where it runs, and what it is told first
   * @param modulePath where its modules are
   * @param main the module and its main class, as {@code MODULE/CLASS}
   * @throws AssertionError if it does not end within a minute
   */
  public static ProofJvm runModule(
      Path directory, List<String> options, String modulePath, String main, String... arguments)
      throws IOException, InterruptedException {
    List<String> modules = List.of("--module-path", absolute(modulePath), "--module", main);
    return run(directory, options, modules, arguments);
  }

  private static ProofJvm run(
      Path directory, List<String> options, List<String> what, String... arguments)
      throws IOException, InterruptedException {
    Path fatal = directory.resolve("fatal.log");
    Path out = directory.resolve("output.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx128m",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:-CreateCoredumpOnCrash",
            "-XX:ErrorFile=" + fatal));
    command.addAll(options);
    command.addAll(what);
    command.add(directory.toString());
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(directory.toFile())
            .redirectErrorStream(true)
            .redirectOutput(out.toFile());
    // What a developer or a CI job sets for every JVM must not change what is proved here.
    builder
        .environment()
        .keySet()
        .removeAll(List.of("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS"));
    Process process = builder.start();
    if (!process.waitFor(TIME_LIMIT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
      throw new AssertionError("the child hangs:\n" + Files.readString(out));
    }
    String output = Files.readString(out);
    Map<String, Long> counts = new HashMap<>();
    for (String line : output.lines().toList()) {
      if (line.matches("[A-Za-z]+=\\d+")) {
        int equals = line.indexOf('=');
        counts.put(line.substring(0, equals), Long.parseLong(line.substring(equals + 1)));
      }
    }
    return new ProofJvm(process.exitValue(), Files.exists(fatal), output, counts);
  }

  private static String absolute(String classPath) {
    List<String> places = new ArrayList<>();
    for (String place : classPath.split(File.pathSeparator, -1)) {
      if (!place.isEmpty()) {
        places.add(Path.of(place).toAbsolutePath().toString());
      }
    }
    return String.join(File.pathSeparator, places);
  }

  /**
   * What it counted by a name.
   *
   * @throws AssertionError if it did not say
   */
  public long count(String name) {
    Long count = counts.get(name);
    if (count == null) {
      throw new AssertionError("the child did not say " + name + ":\n" + output);
    }
    return count;
  }
}
