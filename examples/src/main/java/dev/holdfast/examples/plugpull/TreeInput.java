package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * The regular files under a directory; the key is the path below it. Symbolic links are not
 * followed. What cannot be imported is counted and told, never dropped in silence.
 */
final class TreeInput implements Input {
  @SuppressWarnings("ArrayRecordComponent") // held, never compared
  private record Entry(byte[] key, long length) {}

  /** Why files were left out, and how many. */
  private static final class LeftOut {
    private final String one;
    private final String many;
    private final String reason;
    private int count;
    private String example = "";

    LeftOut(String one, String many, String reason) {
      this.one = one;
      this.many = many;
      this.reason = reason;
    }

    void add(Path file) {
      if (count++ == 0) {
        example = file.toString();
      }
    }

    String line() {
      return count + " " + (count == 1 ? one : many) + " " + reason + ", such as " + example;
    }
  }

  private static final String FILE = "file";
  private static final String FILES = "files";

  private final String name;
  private final Path root;
  private final List<Entry> entries;
  private final List<String> notes;

  private TreeInput(String name, Path root, List<Entry> entries, List<String> notes) {
    this.name = name;
    this.root = root;
    this.entries = entries;
    this.notes = notes;
  }

  /** The class and resource files of the running JDK. */
  static TreeInput jdk() {
    Path modules = FileSystems.getFileSystem(URI.create("jrt:/")).getPath("/modules");
    return scan("jrt:/ of JDK " + Runtime.version(), modules);
  }

  /** Any directory. */
  static TreeInput directory(Path directory) {
    Path root;
    try {
      root = directory.toRealPath();
    } catch (IOException e) {
      throw new BadInputException("--input " + directory + ": cannot be read: " + e, e);
    }
    if (!Files.isReadable(root)) {
      throw new BadInputException("--input " + directory + ": expected a readable directory");
    }
    return scan(directory.toString(), root);
  }

  private static TreeInput scan(String name, Path root) {
    List<Entry> entries = new ArrayList<>();
    LeftOut links = new LeftOut("symbolic link", "symbolic links", "not followed");
    LeftOut unreadable =
        new LeftOut("file or directory", "files or directories", "left out: cannot be read");
    LeftOut special = new LeftOut("special file", "special files", "left out");
    LeftOut longKeys =
        new LeftOut(FILE, FILES, "left out: path over " + Store.MAX_KEY_LENGTH + " bytes");
    LeftOut large = new LeftOut(FILE, FILES, "left out: over " + Store.MAX_VALUE_LENGTH + " bytes");
    LeftOut twins = new LeftOut(FILE, FILES, "left out: name equals another's in UTF-8");
    try {
      Files.walkFileTree(
          root,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
              byte[] key = root.relativize(file).toString().getBytes(StandardCharsets.UTF_8);
              if (attributes.isSymbolicLink()) {
                links.add(file);
              } else if (!attributes.isRegularFile()) {
                special.add(file);
              } else if (key.length > Store.MAX_KEY_LENGTH) {
                longKeys.add(file);
              } else if (attributes.size() > Store.MAX_VALUE_LENGTH) {
                large.add(file);
              } else if (!Files.isReadable(file)) {
                unreadable.add(file);
              } else {
                entries.add(new Entry(key, attributes.size()));
              }
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) {
              unreadable.add(file);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException e) {
      throw new BadInputException("--input " + name + ": cannot be read: " + e, e);
    }
    entries.sort(Comparator.comparing(Entry::key, Arrays::compareUnsigned));
    for (int i = entries.size() - 1; i > 0; i--) {
      if (Arrays.equals(entries.get(i).key(), entries.get(i - 1).key())) {
        twins.add(root.resolve(text(entries.remove(i).key())));
      }
    }
    List<String> notes =
        List.of(links, unreadable, special, longKeys, large, twins).stream()
            .filter(leftOut -> leftOut.count > 0)
            .map(LeftOut::line)
            .toList();
    return new TreeInput(name, root, entries, notes);
  }

  private static String text(byte[] key) {
    return new String(key, StandardCharsets.UTF_8);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int count() {
    return entries.size();
  }

  @Override
  public byte[] key(int index) {
    return entries.get(index).key();
  }

  @Override
  public long length(int index) {
    return entries.get(index).length();
  }

  @Override
  public InputStream read(int index) throws IOException {
    return Files.newInputStream(root.resolve(text(entries.get(index).key())));
  }

  @Override
  public List<String> notes() {
    return notes;
  }
}
