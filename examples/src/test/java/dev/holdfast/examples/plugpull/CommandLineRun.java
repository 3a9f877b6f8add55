package dev.holdfast.examples.plugpull;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * One run of the example, as from the command line.
 *
 * @param code its exit code
 * @param out what it wrote to standard output
 * @param err what it wrote to standard error
 */
record CommandLineRun(int code, String out, String err) {
  /** With a small input and a directory of the test's own. */
  static CommandLineRun of(Run.Opener opener, Path directory, String input, String... more)
      throws IOException {
    Path work = Files.createDirectories(directory.resolve("work"));
    List<String> arguments = new ArrayList<>(List.of("--json", "--input", input));
    arguments.addAll(List.of("--dir", work.toString()));
    arguments.addAll(List.of(more));
    return of(opener, "", arguments.toArray(String[]::new));
  }

  static CommandLineRun of(Run.Opener opener, String standardInput, String... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        PlugPull.run(
            opener,
            arguments,
            new ByteArrayInputStream(standardInput.getBytes(StandardCharsets.UTF_8)),
            new PrintStream(out, true, StandardCharsets.UTF_8),
            new PrintStream(err, true, StandardCharsets.UTF_8));
    return new CommandLineRun(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** Files of pseudo-random bytes. */
  static Path smallTree(Path root, int files) throws Exception {
    Random random = new Random(1);
    for (int i = 0; i < files; i++) {
      byte[] bytes = new byte[random.nextInt(20_000)];
      random.nextBytes(bytes);
      Path file = root.resolve("d" + i % 7).resolve("f" + i);
      Files.createDirectories(root.resolve("d" + i % 7));
      Files.write(file, bytes);
    }
    return root;
  }

  /** The last line of standard output. */
  String json() {
    return out.lines().reduce("", (a, b) -> b);
  }

  String all() {
    return "exit code " + code + "\n" + out + err;
  }
}
