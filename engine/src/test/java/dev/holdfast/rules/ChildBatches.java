package dev.holdfast.rules;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.holdfast.Store;
import dev.holdfast.StoreBuilder;
import dev.holdfast.WriteBatch;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * The process that writes batches until it dies. Each gives all keys of a group one version. It
 * tells its parent {@code b GROUP VERSION} before one, {@code a …} behind it.
 */
final class ChildBatches {
  static final int GROUPS = 2;

  /** Some batches are small, some fill several leaves. */
  private static final int[] KEYS = {7, 400};

  private static final FileOutputStream OUT = new FileOutputStream(FileDescriptor.out);

  private ChildBatches() {}

  static int keys(int group) {
    return KEYS[group];
  }

  static byte[] key(int group, int index) {
    return ("g" + group + "-" + index).getBytes(US_ASCII);
  }

  /** What a key has in a version; null if it has none. */
  static byte @Nullable [] value(int group, int index, long version) {
    if (version == 0 || (index % 7 == 3 && version % 2 == 1)) {
      return null;
    }
    int length = index == 5 ? 5000 + (int) (version % 3000) : 20 + (index * 31 + group) % 200;
    byte[] bytes = new byte[length];
    new Random(index).nextBytes(bytes);
    ByteBuffer.wrap(bytes).putLong(version);
    return bytes;
  }

  /** Arguments: directory, topology, the next version of each group. */
  public static void main(String[] args) {
    StoreBuilder builder = Store.builder(Path.of(args[0])).initialCapacity(2 << 20);
    if (args[1].equals("single")) {
      builder.single();
    }
    Store store = builder.open(); // never closed: this process is killed
    Thread.ofPlatform()
        .start(() -> {
          // Others write beside the batches, so that leaves are written anew.
          Random random = new Random(1);
          while (true) {
            byte[] key = ("other-" + random.nextInt(300)).getBytes(US_ASCII);
            store.put(key, new byte[random.nextInt(300)]);
            byte[] between = ("g1-" + random.nextInt(400) + "-").getBytes(US_ASCII);
            store.put(between, new byte[random.nextInt(100)]);
          }
        });
    for (int group = 0; group < GROUPS; group++) {
      int mine = group;
      long first = Long.parseLong(args[2 + group]);
      Thread.ofPlatform().start(() -> write(store, mine, first));
    }
  }

  private static void write(Store store, int group, long first) {
    WriteBatch batch = new WriteBatch();
    for (long version = first; ; version++) {
      batch.clear();
      for (int i = 0; i < keys(group); i++) {
        byte[] value = value(group, i, version);
        if (value == null) {
          batch.remove(key(group, i));
        } else {
          batch.put(key(group, i), value);
        }
      }
      tell("b " + group + " " + version);
      try {
        store.write(batch);
      } catch (Throwable e) {
        tell("x " + group + " " + version + " " + e);
        return;
      }
      tell("a " + group + " " + version);
    }
  }

  private static void tell(String line) {
    try {
      OUT.write((line + "\n").getBytes(US_ASCII));
    } catch (IOException e) {
      Runtime.getRuntime().halt(3); // nobody listens any more
    }
  }
}
