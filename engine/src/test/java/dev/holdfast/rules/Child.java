package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/** Runs {@link ChildWriters} and listens to it until it is dead. */
final class Child {
  private final Process process;
  private final Ledger ledger;

  private Child(Process process, Ledger ledger) {
    this.process = process;
    this.ledger = ledger;
  }

  static Child start(Ledger ledger, Path log, List<String> options, Object... arguments)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-Xmx128m", "-Xshare:auto"));
    command.addAll(options);
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(ChildWriters.class.getName());
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    Process process =
        new ProcessBuilder(command)
            .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    return new Child(process, ledger);
  }

  /** Kills the child so long after its first acknowledgement, and returns when it is dead. */
  void killAfter(long nanos) throws IOException, InterruptedException {
    Executor later = CompletableFuture.delayedExecutor(nanos, TimeUnit.NANOSECONDS);
    boolean armed = false;
    try (BufferedReader lines = lines()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        take(line);
        if (!armed && line.charAt(0) == 'a') {
          armed = true;
          later.execute(this::kill);
        }
      }
    } finally {
      process.destroyForcibly();
    }
    process.waitFor();
    if (!armed) {
      fail("the child died before it wrote anything");
    }
  }

  /**
   * Listens until the child halts by itself, or kills it when it stopped at a step and nothing more
   * is acknowledged; returns when it is dead.
   *
   * @return whether the child came to its step
   */
  boolean untilStopped() throws IOException, InterruptedException {
    boolean stopped = false;
    try (BufferedReader lines = lines()) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.charAt(0) == 's') {
          stopped = true;
          // What others manage to acknowledge while the switch stands still must be right, too.
          CompletableFuture.delayedExecutor(150, TimeUnit.MILLISECONDS).execute(this::kill);
        } else {
          take(line);
        }
      }
    } finally {
      process.destroyForcibly();
    }
    return process.waitFor() == 9 || stopped;
  }

  /** SIGKILL; by the handle, since the process itself would close the pipe under the reader. */
  private void kill() {
    boolean _ = process.toHandle().destroyForcibly();
  }

  private BufferedReader lines() {
    return new BufferedReader(new InputStreamReader(process.getInputStream(), US_ASCII));
  }

  private void take(String line) {
    String[] words = line.split(" ", -1);
    int writer = Integer.parseInt(words[1]);
    long number = Long.parseLong(words[2]);
    switch (words[0]) {
      case "b" -> ledger.begin(writer, number);
      case "a" -> ledger.acknowledge(writer, number);
      default -> fail("the child failed: " + line);
    }
  }
}
