package dev.holdfast.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script that builds and starts the examples, with a Maven that fails. */
class RunScriptTest {
  @TempDir Path directory;

  private List<String> linesOfARunWhoseBuildSays(String log) throws Exception {
    Path script = Files.createDirectory(directory.resolve("examples")).resolve("run");
    Files.copy(Path.of(System.getProperty("basedir", "."), "run"), script);
    Path programs = Files.createDirectory(directory.resolve("bin"));
    Path maven = programs.resolve("mvn");
    Files.writeString(maven, "#!/bin/sh\nprintf '" + log + "'\nexit 1\n");
    Files.setPosixFilePermissions(maven, PosixFilePermissions.fromString("rwxr-xr-x"));
    ProcessBuilder builder =
        new ProcessBuilder("bash", script.toString()).redirectErrorStream(true);
    builder.environment().merge("PATH", programs.toString(), (old, bin) -> bin + ":" + old);
    Process process = builder.start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(2, process.waitFor(), said);
    assertFalse(said.contains("\u001b"), said);
    return said.lines().filter(line -> !line.startsWith("building")).toList();
  }

  @Test
  void missingJdkIsOneLine() throws Exception {
    List<String> lines =
        linesOfARunWhoseBuildSays(
            "\\033[1;31mERROR\\033[m Cannot find matching toolchain definitions for the following"
                + " toolchain types:{version=[25,26)}\\n[ERROR] more\\n");
    assertEquals(1, lines.size(), lines.toString());
    assertTrue(lines.getFirst().contains("expected a JDK 25, found none"), lines.toString());
  }

  @Test
  void logOfAnotherFailureIsShownWithoutColours() throws Exception {
    List<String> lines =
        linesOfARunWhoseBuildSays("[\\033[1;31mERROR\\033[m] cannot find symbol\\n");
    assertEquals("[ERROR] cannot find symbol", lines.getFirst());
    assertTrue(lines.getLast().contains("the build failed"), lines.toString());
  }
}
