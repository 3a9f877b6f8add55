package dev.holdfast.rules;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * What a crash would leave of a store that is open, where no operation is under way: its mappings
 * are shared, so the files hold every store that was made.
 */
final class CrashImage {
  private CrashImage() {}

  /** Copies what is on the media of a store, without its lock. */
  static Path of(Path store, Path target) throws IOException {
    Files.createDirectories(target);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(store)) {
      for (Path file : files) {
        if (!file.getFileName().toString().equals("lock")) {
          Files.copy(file, target.resolve(file.getFileName()));
        }
      }
    }
    return target;
  }

  static Path leg(Path store, int leg) {
    return store.resolve("leg-" + leg + ".pmem");
  }

  static Path removed(Path store, int leg) {
    return store.resolve("leg-" + leg + ".pmem.removed");
  }

  /** Takes a leg away from a store that nobody has open. */
  static void remove(Path store, int leg) throws IOException {
    Files.move(leg(store, leg), removed(store, leg));
  }
}
