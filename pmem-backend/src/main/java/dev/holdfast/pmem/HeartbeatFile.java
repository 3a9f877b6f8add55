package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.DeviceOfflineException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Asks the file system under a device file whether it still writes: a counter goes to a reserved
 * place of the label, and from there to the medium, in one system call.
 *
 * <p>Mapped pages do not tell: after its file system was shut down they can be read and stored to
 * as before, in the page cache, and none of it arrives anywhere. A write to the file is refused
 * then. Through a descriptor of its own that writes synchronously, so that nothing else of the file
 * is written back for it; not through a channel, which an interrupt would close.
 *
 * <p><b>Threads:</b> any; beats take turns. <b>Lifetime:</b> a beat that hangs in the kernel keeps
 * the descriptor, and nobody who closes the device: it is closed when the beat comes back.
 */
final class HeartbeatFile {
  /** In the label, in a block of its own: a torn write of it leaves the label as it is. */
  static final int OFFSET = 32 * 1024;

  private final Path file;
  private final int fd;

  /** What the file system knows the file by, whatever its name. */
  private final String key;

  private final ReentrantLock using = new ReentrantLock();
  private boolean descriptorClosed;
  private long beats;
  private volatile boolean closed;

  /**
   * Opens the file a second time.
   *
   * @throws dev.holdfast.error.DeviceIoException if that cannot be done
   */
  HeartbeatFile(Path file) {
    this.file = file;
    this.fd = Posix.openSynchronous(file);
    try {
      this.key = String.valueOf(attributes().fileKey());
    } catch (IOException e) {
      Posix.close(fd);
      throw new DeviceIoException(file + ": cannot be looked at: " + e, e);
    }
  }

  private BasicFileAttributes attributes() throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class);
  }

  /**
   * Looks whether the file still lies under its name, as long as it was. One that was deleted,
   * replaced or cut off takes stores to the pages in memory as before; who opens it next finds
   * nothing of them.
   *
   * @param bytes how long it is at least
   * @throws DeviceIoException if not
   */
  void requireThere(long bytes) {
    try {
      BasicFileAttributes now = attributes();
      if (!key.equals(String.valueOf(now.fileKey()))) {
        throw new DeviceIoException(file + ": another file lies there now");
      }
      if (now.size() < bytes) {
        throw new DeviceIoException(
            file + ": was cut off: expected " + bytes + " bytes, is " + now.size());
      }
    } catch (IOException e) {
      throw new DeviceIoException(file + ": is not there any more: " + e, e);
    }
  }

  /**
   * Writes to the medium.
   *
   * @throws dev.holdfast.error.DeviceIoException if it is refused
   * @throws DeviceOfflineException if the device was closed
   */
  void beat() {
    using.lock();
    try {
      if (closed) {
        throw new DeviceOfflineException(file + ": no heartbeat: the device is closed");
      }
      beats++;
      byte[] counter =
          ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(beats).array();
      Posix.write(fd, OFFSET, counter, 0, counter.length, file);
    } finally {
      using.unlock();
      if (closed) {
        closeDescriptor(); // Whoever closed the device did not wait.
      }
    }
  }

  /** Ends it; the descriptor is closed now, or by the beat that is under way. */
  void close() {
    closed = true;
    closeDescriptor();
  }

  private void closeDescriptor() {
    if (using.tryLock()) {
      try {
        if (!descriptorClosed) {
          descriptorClosed = true;
          Posix.close(fd);
        }
      } finally {
        using.unlock();
      }
    }
  }
}
