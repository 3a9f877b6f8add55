package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * An XFS of its own in a file, on a loop device, that can be shut down under whoever has its files
 * mapped: the real fault that {@link FaultInjector#shutDownFileSystem} emulates. For tests; it
 * needs root.
 *
 * <p>Nothing stays behind: a process beside this one waits for its end, of whatever kind, and
 * unmounts what is left.
 *
 * <p><b>Threads:</b> one at a time.
 */
public final class LoopXfs implements AutoCloseable {
  /** The smallest file system that mkfs.xfs makes, bytes. */
  public static final long SMALLEST = 320L << 20;

  private static final long BLOCK = 1L << 20;

  private static final List<String> TOOLS =
      List.of("mkfs.xfs", "xfs_io", "losetup", "mount", "umount");
  private static final List<Path> PLACES =
      List.of(Path.of("/usr/sbin"), Path.of("/sbin"), Path.of("/usr/bin"), Path.of("/bin"));
  private static final long CALL_SECONDS = 60;
  private static final long BUSY_NANOS = Duration.ofSeconds(20).toNanos();
  private static final long POLL_NANOS = 20_000_000;

  private final Path image;
  private final Path directory;
  private final String loop;
  private final Process guard;
  private boolean mounted;
  private boolean frozen;
  private boolean closed;

  private LoopXfs(Path image, Path directory, String loop, Process guard) {
    this.image = image;
    this.directory = directory;
    this.loop = loop;
    this.guard = guard;
  }

  /** {@return what is missing to make one here, and what helps; null if nothing is} */
  public static @Nullable String missing() {
    for (String tool : TOOLS) {
      if (find(tool) == null) {
        return tool
            + " is missing: install it (on Debian and Ubuntu: apt-get install xfsprogs mount)";
      }
    }
    if (!isRoot()) {
      return "it needs root, to make loop devices and to mount: run it with sudo";
    }
    if (!Files.exists(Path.of("/dev/loop-control"))) {
      return "/dev/loop-control is missing: there are no loop devices here (modprobe loop; a"
          + " container needs --privileged)";
    }
    return null;
  }

  private static boolean isRoot() {
    try {
      return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    } catch (IOException e) {
      return false; // Not Linux, where nothing of this works.
    }
  }

  private static @Nullable Path find(String tool) {
    for (Path place : PLACES) {
      if (Files.isExecutable(place.resolve(tool))) {
        return place.resolve(tool);
      }
    }
    return null;
  }

  /**
   * Makes a file system and mounts it.
   *
   * @param image the file that holds it; is made, sparse
   * @param directory where to mount it; is made
   * @param bytes its size, at least {@link #SMALLEST}
   * @return the file system
   * @throws DeviceIoException if a tool fails, with what it said; nothing is left then
   */
  public static LoopXfs make(Path image, Path directory, long bytes) {
    try {
      Files.createDirectories(directory);
      try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
        // Whole blocks: a loop device leaves out what is behind the last one, and says so.
        file.setLength(Math.ceilDiv(Math.max(SMALLEST, bytes), BLOCK) * BLOCK);
      }
    } catch (IOException e) {
      throw new DeviceIoException(image + ": cannot be made: " + e, e);
    }
    call("mkfs.xfs", "-q", "-f", image.toString());
    String loop = call("losetup", "--find", "--show", image.toString()).strip();
    Process guard = startGuard(directory, loop);
    LoopXfs made = new LoopXfs(image, directory, loop, guard);
    try {
      made.mount();
    } catch (DeviceIoException e) {
      made.close();
      throw e;
    }
    return made;
  }

  /** Waits for the end of its input, which is that of this process, and cleans up. */
  private static Process startGuard(Path directory, String loop) {
    String script =
        "trap '' INT TERM HUP; cat >/dev/null; umount -l \"$0\" 2>/dev/null;"
            + " losetup -d \"$1\" 2>/dev/null";
    try {
      return new ProcessBuilder("/bin/sh", "-c", script, directory.toString(), loop)
          .redirectOutput(ProcessBuilder.Redirect.DISCARD)
          .redirectError(ProcessBuilder.Redirect.DISCARD)
          .start();
    } catch (IOException e) {
      call("losetup", "-d", loop);
      throw new DeviceIoException(directory + ": no shell to guard it: " + e, e);
    }
  }

  /** {@return where it is mounted} */
  public Path directory() {
    return directory;
  }

  /** Shuts it down at once: nothing that was not written reaches the medium any more. */
  public void shutDown() {
    call("xfs_io", "-x", "-c", "shutdown", directory.toString());
  }

  /** Has whoever writes wait, as where a medium hangs, until {@link #thaw}. */
  public void freeze() {
    call("xfs_io", "-x", "-c", "freeze", directory.toString());
    frozen = true;
  }

  /** Ends what {@link #freeze} began; harmless where nothing did. */
  public void thaw() {
    if (frozen) {
      call("xfs_io", "-x", "-c", "thaw", directory.toString());
      frozen = false;
    }
  }

  /**
   * Unmounts it: what was in memory alone is gone. It waits a while for those who have files open.
   *
   * @throws DeviceIoException if somebody keeps it busy
   */
  public void unmount() {
    long deadline = System.nanoTime() + BUSY_NANOS;
    while (mounted) {
      try {
        call("umount", directory.toString());
        mounted = false;
      } catch (DeviceIoException e) {
        if (System.nanoTime() - deadline > 0) {
          throw e;
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
    }
  }

  /** Mounts it, as it is on the medium. */
  public void mount() {
    call("mount", "-t", "xfs", loop, directory.toString());
    mounted = true;
  }

  /** Unmounts it, whoever has files open, and removes what it lay in. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    try {
      thaw(); // Else nobody could unmount it.
      if (mounted) {
        call("umount", "-l", directory.toString());
      }
      call("losetup", "-d", loop);
      Files.deleteIfExists(image);
      Files.deleteIfExists(directory);
    } catch (DeviceIoException | IOException e) {
      System.getLogger(LoopXfs.class.getName())
          .log(System.Logger.Level.WARNING, directory + " could not be removed: " + e);
    } finally {
      // Not by the end of its input: the loop device may be somebody else's by then.
      guard.destroyForcibly();
      try {
        guard.getOutputStream().close();
      } catch (IOException e) {
        // It has ended.
      }
    }
  }

  private static String call(String tool, String... arguments) {
    List<String> command = new ArrayList<>();
    Path found = find(tool);
    command.add(found == null ? tool : found.toString());
    command.addAll(List.of(arguments));
    Path complaints = null;
    try {
      // Beside what is asked for: a tool that does what it is told may warn, too.
      complaints = Files.createTempFile("holdfast-", ".txt");
      Process process = new ProcessBuilder(command).redirectError(complaints.toFile()).start();
      process.getOutputStream().close();
      String said =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      if (!process.waitFor(CALL_SECONDS, TimeUnit.SECONDS)) {
        throw new DeviceIoException(String.join(" ", command) + ": did not end");
      }
      if (process.exitValue() != 0) {
        String why = Files.readString(complaints).strip();
        throw new DeviceIoException(String.join(" ", command) + ": " + said + why);
      }
      return said;
    } catch (IOException e) {
      throw new DeviceIoException(String.join(" ", command) + ": " + e, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DeviceIoException(String.join(" ", command) + ": interrupted", e);
    } finally {
      remove(complaints);
    }
  }

  private static void remove(@Nullable Path file) {
    try {
      if (file != null) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      file.toFile().deleteOnExit();
    }
  }
}
