package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.ContenderKind;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;

/** The other end of a {@link MicroWorker}: its process, which is ours to end. */
final class MicroJvm implements AutoCloseable {
  private final ContenderKind kind;
  private final Path log;
  private final Process process;
  private final BufferedWriter commands;
  private final BufferedReader answers;

  /**
   * Starts it.
   *
   * @param heap its largest heap
   * @param scratch for its temporary files, which it cannot remove when it is killed
   */
  MicroJvm(ContenderKind kind, ByteSize heap, Path scratch) throws IOException {
    this.kind = kind;
    this.log = scratch.resolve(kind + ".log");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(PeerFlags.ALL);
    // One collector without threads of its own: there are two cores, and they are measured.
    command.add("-XX:+UseSerialGC");
    command.add("-Xmx" + heap);
    command.add("-Djava.io.tmpdir=" + scratch);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(MicroWorker.class.getName());
    command.add(kind.name());
    this.process =
        new ProcessBuilder(command)
            .redirectError(ProcessBuilder.Redirect.appendTo(log.toFile()))
            .start();
    this.commands = process.outputWriter(StandardCharsets.UTF_8);
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  ContenderKind kind() {
    return kind;
  }

  /** Sends a command; {@link #answer} waits for it. */
  void send(Object... words) {
    StringBuilder line = new StringBuilder();
    for (Object word : words) {
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    try {
      commands.write(line.append('\n').toString());
      commands.flush();
    } catch (IOException e) {
      throw failed("its process ended");
    }
  }

  /**
   * The numbers that the last command is answered with.
   *
   * @throws ContenderFailedException if it failed
   */
  long[] answer() {
    try {
      for (String line = answers.readLine(); line != null; line = answers.readLine()) {
        if (line.startsWith(MicroWorker.FAILED)) {
          throw failed(line.substring(MicroWorker.FAILED.length() + 1));
        }
        if (line.startsWith(MicroWorker.OK)) {
          return numbers(line);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    throw failed("its process ended");
  }

  private static long[] numbers(String line) {
    List<String> words = List.of(line.split(" ", -1));
    return words.stream().skip(1).mapToLong(Long::parseLong).toArray();
  }

  private ContenderFailedException failed(String why) {
    String printed = "";
    try {
      Path kept = Files.createTempFile("holdfast-micro-" + kind + "-", ".log");
      Files.copy(log, kept, StandardCopyOption.REPLACE_EXISTING);
      printed = "; what it printed is in " + kept;
    } catch (IOException e) {
      // Then it is lost; why it failed is not.
    }
    return new ContenderFailedException(kind + ": " + why + printed);
  }

  /** Sends a command and waits for its answer. */
  long[] ask(Object... words) {
    send(words);
    return answer();
  }

  /** How much of its memory is in huge pages, KiB; -1 if the system does not say. */
  long hugePages() {
    try {
      long sum = 0;
      for (String line :
          Files.readAllLines(Path.of("/proc", Long.toString(process.pid()), "smaps_rollup"))) {
        if (line.matches("(AnonHugePages|ShmemPmdMapped|FilePmdMapped):.*")) {
          sum += Long.parseLong(line.replaceAll("[^0-9]", ""));
        }
      }
      return sum;
    } catch (IOException e) {
      return -1;
    }
  }

  /** Ends it as {@code kill -9} does. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    process.waitFor();
  }

  @Override
  public void close() {
    try {
      kill();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A contender that answered wrongly or not at all. */
  static final class ContenderFailedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    ContenderFailedException(String message) {
      super(message);
    }
  }
}
