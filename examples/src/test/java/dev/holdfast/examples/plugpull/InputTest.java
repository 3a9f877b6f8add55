package dev.holdfast.examples.plugpull;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.holdfast.StoreBuilder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InputTest {
  @TempDir Path directory;

  private static String value(Input input, int index) throws IOException {
    try (InputStream in = input.read(index)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void lastLineOfAKeyCountsAndTheOthersAreTold() throws IOException {
    Path file = Files.writeString(directory.resolve("a.tsv"), "k\told\nx\t1\t2\r\nk\tnew");
    Input input = TsvInput.of("a.tsv", file);
    assertEquals(2, input.count());
    assertEquals("new", value(input, 0));
    assertEquals("1\t2", value(input, 1));
    assertEquals(List.of("1 line left out: a later line has the same key"), input.notes());
  }

  @Test
  void symbolicLinksAreNotFollowedAndTold() throws IOException {
    Path root = Files.createDirectory(directory.resolve("tree"));
    Path outside = Files.writeString(directory.resolve("secret"), "secret");
    Files.createSymbolicLink(root.resolve("link"), outside);
    Files.writeString(root.resolve("file"), "value");
    Input input = TreeInput.directory(root);
    assertEquals(1, input.count());
    assertArrayEquals("file".getBytes(StandardCharsets.UTF_8), input.key(0));
    assertTrue(input.notes().getFirst().startsWith("1 symbolic link not followed"));
  }

  @Test
  void entriesBeyondTheSizeLimitAreLeftOutAndTold() throws IOException {
    Path file = Files.writeString(directory.resolve("a.tsv"), "a\t12345\nb\t1234567\nc\t123\n");
    Input input = Inputs.open(file.toString(), null, 9, 1);
    assertEquals(2, input.count());
    assertEquals("123", value(input, 1));
    assertEquals(List.of("1 of 3 entries left out by --size-limit"), input.notes());
  }

  @Test
  void generatedValuesAreTheSameEachTimeTheyAreRead() throws IOException {
    Input input = new EdgeInput("set", 7);
    for (int i = 0; i < input.count(); i++) {
      try (InputStream one = input.read(i);
          InputStream other = input.read(i)) {
        byte[] bytes = one.readAllBytes();
        assertEquals(input.length(i), bytes.length);
        assertArrayEquals(bytes, other.readAllBytes());
      }
    }
  }

  private CommandLineRun importStandardInput() {
    return CommandLineRun.of(
        StoreBuilder::open,
        "a\t1\nb\t22\nc\t333\n",
        "--json",
        "--input",
        "-",
        "--fault",
        "none",
        "--dir",
        directory.toString());
  }

  @Test
  void standardInputIsImportedAndVerified() {
    CommandLineRun run = importStandardInput();
    assertEquals(0, run.code(), run.all());
    assertTrue(
        run.json()
            .matches(
                "\\{\"example\":\"plug-pull\",\"entries\":3,\"bytes\":6,\"acknowledged\":3,"
                    + "\"lost\":0,\"wrong\":0,\"failed\":0,\"faultsCaught\":0,"
                    + "\"longestStallMicros\":\\d+,\"controlStallMicros\":\\d+,"
                    + "\"readSwitchMicros\":null,\"writeSwitchMicros\":null,"
                    + "\"deviceReads\":\\{\"0\":\\{\"before\":\\d+,\"after\":\\d+\\},"
                    + "\"1\":\\{\"before\":\\d+,\"after\":\\d+\\}\\},\"state\":\"ONLINE\"\\}"),
        run.all());
    assertEquals(1, run.out().lines().count());
  }

  @Test
  void workDirectoryIsGoneAfterTheRun() throws IOException {
    assertEquals(0, importStandardInput().code());
    try (var left = Files.list(directory)) {
      assertEquals(List.of(), left.toList());
    }
  }
}
