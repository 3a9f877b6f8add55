package dev.holdfast.pmem;

import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * The child process that does to a lost page what {@link Gateway} does not offer. It is expected to
 * die of it.
 *
 * <p>Arguments: a directory, and {@code checksum} or {@code compareAndSet}.
 */
final class ForbiddenAccess {
  private ForbiddenAccess() {}

  public static void main(String[] args) throws Exception {
    int page = FaultInjector.pageSize();
    try (RandomAccessFile file =
            new RandomAccessFile(Path.of(args[0]).resolve("lost").toFile(), "rw");
        Arena arena = Arena.ofConfined()) {
      file.setLength(page);
      MemorySegment mapped = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, page, arena);
      file.setLength(0);
      System.out.println("before");
      try {
        if (args[1].equals("checksum")) {
          new CRC32C().update(mapped.asByteBuffer());
        } else {
          ValueLayout.JAVA_LONG.varHandle().compareAndSet(mapped, 0L, 0L, 1L);
        }
        Gateway.barrier();
      } catch (InternalError e) {
        // What the gateway's own accesses end in.
      }
      System.out.println("survived");
    }
  }
}
