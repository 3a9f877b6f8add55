package dev.holdfast.crash;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * A store that was closed in order, where a large write to a key of the left leaf is about to have
 * that leaf written anew, and one to a key of the right leaf to have it split.
 */
final class Base {
  /** The length of the values that fill leaves. */
  static final int LARGE = 900;

  private final Contents contents;
  private final Path made;
  private final int lefts;
  private final int rights;

  private Base(Contents contents, Path made, int lefts, int rights) {
    this.contents = contents;
    this.made = made;
    this.lefts = lefts;
    this.rights = rights;
  }

  /** Makes one in a directory that is empty; {@code scratch} is another one, to try in. */
  static Base make(boolean mirrored, Path directory, Path scratch) {
    Preparation preparation = new Preparation(mirrored, scratch);
    for (int i = 0; i < 8; i++) {
      preparation.add(Change.put(String.format("k%02ds", 5 * i), 0, 24));
    }
    preparation.add(Change.put("k06b", 0, 3_000));
    preparation.add(Change.put("k31b", 0, 9_000));
    int split = preparation.addUntil("pending row", Base::first);
    preparation.add(first(split));
    int lefts = preparation.addUntil("switch", Base::left);
    int rights = preparation.addUntil("pending row", Base::right);
    preparation.make(directory);
    return new Base(preparation.contents(), directory, lefts, rights);
  }

  /** New keys, in an order that is neither ascending nor descending. */
  static Change first(int i) {
    return Change.put(String.format("k%02d", i * 17 % 40), i, LARGE);
  }

  private static Change left(int i) {
    return Change.put("k00", 1_000 + i, LARGE);
  }

  private static Change right(int i) {
    return Change.put(String.format("k9%03d", i * 37 % 400), i, LARGE);
  }

  /** The write to the left leaf that comes next. */
  Change nextLeft(int number) {
    return left(lefts + number);
  }

  /** The write to the right leaf that comes next. */
  Change nextRight(int number) {
    return right(rights + number);
  }

  /** A write to the left half of the right leaf, once that is split. */
  static Change inSplit(int number) {
    return Change.put("k25s", 2_000 + number, LARGE);
  }

  Contents contents() {
    return contents;
  }

  /** Puts a copy of its files into a directory. */
  void copyTo(Path directory) {
    try (Stream<Path> files = Files.list(made)) {
      for (Path file : files.toList()) {
        Files.copy(file, directory.resolve(file.getFileName()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
