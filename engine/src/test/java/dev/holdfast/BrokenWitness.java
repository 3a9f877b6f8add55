package dev.holdfast;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The witness of a store cannot be written as long as this is there, even by root: where its new
 * content goes before it is moved over the old one, there is a directory that is not empty.
 */
public final class BrokenWitness {
  private final Path inTheWay;

  private BrokenWitness(Path inTheWay) {
    this.inTheWay = inTheWay;
  }

  /** Breaks the witness of the store in a directory. */
  public static BrokenWitness of(Path store) throws IOException {
    Path fresh = Files.createDirectory(store.resolve("witness.new"));
    return new BrokenWitness(Files.createFile(fresh.resolve("in-the-way")));
  }

  /** It can be written again. */
  public void mend() throws IOException {
    Files.delete(inTheWay);
    Files.delete(inTheWay.getParent());
  }
}
