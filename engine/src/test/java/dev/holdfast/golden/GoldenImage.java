package dev.holdfast.golden;

import dev.holdfast.ObservedStores;
import dev.holdfast.Snapshot;
import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.golden.GoldenContent.Filled;
import dev.holdfast.golden.GoldenContent.Ops;
import dev.holdfast.tree.BatchObserver;
import dev.holdfast.tree.BatchObserver.Step;
import dev.holdfast.volume.VolumeLayout;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.SortedMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;

/**
 * A store as this version of the format has it on its devices, kept compressed among the test
 * resources. {@link #main} makes those of a new version; those of a released one stay as they are.
 */
enum GoldenImage {
  /** Two legs, closed in order. */
  MIRROR(2, 0, Step.SETTLED),

  /** One leg, closed in order. */
  SINGLE(1, 0, Step.SETTLED),

  /** Two legs, not closed; a batch lies in its slot of the log and nowhere else. */
  MIRROR_UNSETTLED(2, 5, Step.COMMITTED),

  /** One leg, not closed, with old versions; a batch lies in extents, and in one leaf already. */
  SINGLE_UNSETTLED(1, 30, Step.LEAF_APPLIED);

  private static final int CAPACITY = 2 << 20;

  final int legs;
  private final int batch;
  private final Step end;

  GoldenImage(int legs, int batch, Step end) {
    this.legs = legs;
    this.batch = batch;
    this.end = end;
  }

  boolean isClosed() {
    return batch == 0;
  }

  private String fileName() {
    return "v"
        + VolumeLayout.FORMAT_VERSION
        + "-"
        + name().toLowerCase(Locale.ROOT).replace('_', '-')
        + ".zip";
  }

  /** Unpacks the image as the directory of a store. */
  Path unpack(Path directory) throws IOException {
    String name = "/golden/" + fileName();
    try (InputStream resource = GoldenImage.class.getResourceAsStream(name)) {
      if (resource == null) {
        throw new FileNotFoundException(name + ": each version of the format has its images");
      }
      Path store = Files.createDirectories(directory.resolve(fileName() + ".d"));
      ZipInputStream zip = new ZipInputStream(resource);
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        Files.copy(zip, store.resolve(Path.of(entry.getName()).getFileName()));
      }
      return store;
    }
  }

  /**
   * Makes the store.
   *
   * @param image takes what is on its devices
   * @return what it holds
   */
  SortedMap<byte[], byte[]> make(Path directory, OutputStream image) throws IOException {
    boolean[] isLast = {false};
    boolean[] packed = {false};
    BatchObserver observer =
        step -> {
          if (step == end && isLast[0] && !packed[0]) {
            packed[0] = true;
            pack(directory, image);
          }
        };
    StoreBuilder builder = Store.builder(directory).initialCapacity(CAPACITY).maxCapacity(CAPACITY);
    Filled filled;
    try (Store store =
        ObservedStores.observing(legs == 1 ? builder.single() : builder, observer).open()) {
      filled = new Filled(store);
      GoldenContent.fill(filled);
      store.compact(); // So what is there has the short form, and what follows the ordinary one.
      if (isClosed()) {
        GoldenContent.change(filled);
      } else {
        try (Snapshot _ = store.snapshot()) {
          GoldenContent.change(filled);
          isLast[0] = true;
          Ops ops = GoldenContent.batch(batch);
          store.write(ops.batch);
          ops.applyTo(filled.entries);
        }
      }
    }
    if (isClosed()) {
      pack(directory, image);
    } else if (!packed[0]) {
      throw new IllegalStateException(this + ": the batch never reached " + end);
    }
    return filled.entries;
  }

  /** What a crash would leave: the mappings are shared, so the files hold every store so far. */
  private static void pack(Path store, OutputStream image) {
    try (ZipOutputStream zip = new ZipOutputStream(image);
        DirectoryStream<Path> files = Files.newDirectoryStream(store, "{leg-*,witness}")) {
      zip.setLevel(9);
      for (Path file : files) {
        zip.putNextEntry(new ZipEntry(file.getFileName().toString()));
        Files.copy(file, zip);
        zip.closeEntry();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Makes the images that are not there yet in the directory that is the one argument. */
  public static void main(String[] arguments) throws IOException {
    Path target = Path.of(arguments[0]);
    for (GoldenImage image : values()) {
      Path file = target.resolve(image.fileName());
      if (!Files.exists(file)) {
        Path store = Files.createTempDirectory("golden-").resolve("store");
        try (OutputStream out = Files.newOutputStream(file)) {
          image.make(store, out);
        }
      }
    }
  }
}
