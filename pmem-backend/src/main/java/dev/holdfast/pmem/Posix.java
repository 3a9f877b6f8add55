package dev.holdfast.pmem;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.OutOfSpaceException;
import dev.holdfast.error.UnsupportedPlatformException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The system calls that Java lacks or guards with an interruptible channel. None of them touches
 * device memory from native code: a fault there would end the process.
 */
@SuppressWarnings("restricted") // native access is the one thing this class is for
final class Posix {
  static final int PROT_NONE = 0;
  static final int PROT_READ_WRITE = 3;
  static final int MAP_SHARED = 0x01;
  private static final int MAP_PRIVATE = 0x02;
  private static final int MAP_ANONYMOUS = 0x20;
  static final int MAP_FIXED = 0x10;
  static final int MAP_NORESERVE = 0x4000;

  /**
   * MAP_SYNC, and what turns MAP_SHARED into MAP_SHARED_VALIDATE: without that, old kernels and
   * other file systems ignore a flag that they do not know.
   */
  static final int MAP_SYNC = 0x80000 | 0x02;

  static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;
  private static final int MADV_POPULATE_WRITE = 23;
  private static final int MADV_COLLAPSE = 25;

  static final int EINTR = 4;
  private static final int EFAULT = 14;
  private static final int EXDEV = 18;
  private static final int EINVAL = 22;
  private static final int ENOSYS = 38;
  static final int ENOSPC = 28;
  static final int EDQUOT = 122;
  static final int EFBIG = 27;

  private static final int MS_SYNC = 4;
  private static final int O_RDONLY = 0;
  private static final int O_RDWR = 2;
  private static final int O_DSYNC = 0x1000;
  private static final int O_CLOEXEC = 0x80000;
  private static final int SC_PAGESIZE = 30;
  private static final int AT_FDCWD = -100;
  private static final int RENAME_EXCHANGE = 2;
  private static final long MAP_FAILED = -1;

  private static final boolean AARCH64 =
      System.getProperty("os.arch", "").toLowerCase(Locale.ROOT).equals("aarch64");

  /** Differs by architecture, unlike the other flags. */
  private static final int O_NOFOLLOW = AARCH64 ? 0x8000 : 0x20000;

  /** struct statfs (include/uapi/asm-generic/statfs.h): all words, of both architectures. */
  private static final long STATFS_BYTES = 15 * Long.BYTES;

  private static final long STATFS_TYPE = 0;
  private static final long STATFS_BLOCK_SIZE = Long.BYTES;
  private static final long STATFS_BLOCKS = 2 * Long.BYTES;
  private static final long STATFS_AVAILABLE = 4 * Long.BYTES;
  private static final long TMPFS_MAGIC = 0x01021994;

  /** The number of the userfaultfd system call. */
  static final long SYS_USERFAULTFD = AARCH64 ? 282 : 323;

  private static final Linker LINKER = Linker.nativeLinker();
  private static final MemoryLayout ERRNO_LAYOUT = Linker.Option.captureStateLayout();
  private static final VarHandle ERRNO =
      ERRNO_LAYOUT.varHandle(MemoryLayout.PathElement.groupElement("errno"));

  private static final int FALLOC_FL_KEEP_SIZE = 1;
  private static final int FALLOC_FL_PUNCH_HOLE = 2;

  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

  private static final MethodHandle OPEN =
      variadic("open", 2, FunctionDescriptor.of(INT, ValueLayout.ADDRESS, INT, INT));
  private static final MethodHandle CLOSE = bind("close", FunctionDescriptor.of(INT, INT));
  private static final MethodHandle MMAP =
      bind("mmap", FunctionDescriptor.of(LONG, LONG, LONG, INT, INT, INT, LONG));
  private static final MethodHandle MUNMAP = bind("munmap", FunctionDescriptor.of(INT, LONG, LONG));
  private static final MethodHandle MADVISE =
      bind("madvise", FunctionDescriptor.of(INT, LONG, LONG, INT));
  private static final MethodHandle MSYNC =
      bind("msync", FunctionDescriptor.of(INT, LONG, LONG, INT));
  private static final MethodHandle FALLOCATE =
      bind("posix_fallocate", FunctionDescriptor.of(INT, INT, LONG, LONG));
  private static final MethodHandle FALLOCATE_MODE =
      bind("fallocate", FunctionDescriptor.of(INT, INT, INT, LONG, LONG));
  private static final @Nullable MethodHandle RENAMEAT2 =
      LINKER
          .defaultLookup()
          .find("renameat2")
          .map(address ->
              LINKER.downcallHandle(
                  address,
                  FunctionDescriptor.of(
                      INT, INT, ValueLayout.ADDRESS, INT, ValueLayout.ADDRESS, INT),
                  Linker.Option.captureCallState("errno")))
          .orElse(null);
  private static final MethodHandle FSTATFS =
      bind("fstatfs", FunctionDescriptor.of(INT, INT, ValueLayout.ADDRESS));
  private static final MethodHandle FTRUNCATE =
      bind("ftruncate", FunctionDescriptor.of(INT, INT, LONG));
  private static final MethodHandle FDATASYNC = bind("fdatasync", FunctionDescriptor.of(INT, INT));
  private static final MethodHandle PREAD =
      bind("pread", FunctionDescriptor.of(LONG, INT, ValueLayout.ADDRESS, LONG, LONG));
  private static final MethodHandle PWRITE =
      bind("pwrite", FunctionDescriptor.of(LONG, INT, ValueLayout.ADDRESS, LONG, LONG));
  private static final MethodHandle MEMFD_CREATE =
      bind("memfd_create", FunctionDescriptor.of(INT, ValueLayout.ADDRESS, INT));
  private static final MethodHandle SYSCONF = bind("sysconf", FunctionDescriptor.of(LONG, INT));
  private static final MethodHandle SYSCALL =
      variadic("syscall", 1, FunctionDescriptor.of(LONG, LONG, INT));
  private static final MethodHandle IOCTL =
      variadic("ioctl", 2, FunctionDescriptor.of(INT, INT, LONG, ValueLayout.ADDRESS));

  /** The size of a page in bytes. */
  static final int PAGE_SIZE = pageSize();

  private Posix() {}

  /** Fails where Holdfast cannot run, with one typed error. */
  static void requireSupportedPlatform() {
    String os = System.getProperty("os.name", "");
    String arch = System.getProperty("os.arch", "");
    if (!os.equals("Linux") || !(arch.equals("amd64") || arch.equals("aarch64"))) {
      throw new UnsupportedPlatformException(
          "platform: expected Linux on x86-64 or aarch64, was " + os + " on " + arch);
    }
  }

  private static MethodHandle bind(String name, FunctionDescriptor type) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name), type, Linker.Option.captureCallState("errno"));
  }

  private static MethodHandle variadic(String name, int fixed, FunctionDescriptor type) {
    return LINKER.downcallHandle(
        LINKER.defaultLookup().findOrThrow(name),
        type,
        Linker.Option.captureCallState("errno"),
        Linker.Option.firstVariadicArg(fixed));
  }

  private static int pageSize() {
    try (Arena arena = Arena.ofConfined()) {
      return (int) (long) SYSCONF.invokeExact(arena.allocate(ERRNO_LAYOUT), SC_PAGESIZE);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Opens an existing file for reading and writing, refusing a symbolic link. */
  static int open(Path file) {
    return open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  }

  /** As {@link #open(Path)}; what is written through it is on the medium when the write returns. */
  static int openSynchronous(Path file) {
    return open(file, O_RDWR | O_DSYNC | O_CLOEXEC | O_NOFOLLOW);
  }

  private static int open(Path file, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      int fd = (int) OPEN.invokeExact(state, arena.allocateFrom(file.toString()), flags, 0);
      if (fd < 0) {
        throw failed("open", file, errno(state));
      }
      return fd;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Syncs a directory, so that the name of a file that was created or moved there stays. */
  static void syncDirectory(Path directory) {
    int fd = open(directory, O_RDONLY | O_CLOEXEC);
    try {
      dataSync(fd, directory);
    } finally {
      close(fd);
    }
  }

  /** Has two names change places at once; whether the file system and the C library can. */
  static boolean exchange(Path one, Path other) {
    MethodHandle renameat2 = RENAMEAT2; // Not in every C library.
    if (renameat2 == null) {
      return false;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      int result =
          (int)
              renameat2.invokeExact(
                  state,
                  AT_FDCWD,
                  arena.allocateFrom(one.toString()),
                  AT_FDCWD,
                  arena.allocateFrom(other.toString()),
                  RENAME_EXCHANGE);
      if (result == 0) {
        return true;
      }
      int errno = errno(state);
      if (errno == EINVAL || errno == ENOSYS || errno == EXDEV) {
        return false;
      }
      throw failed("renameat2 to " + other, one, errno);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** An empty file without a name: mapped anywhere, its pages fault. */
  static int emptyFile() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      int fd = (int) MEMFD_CREATE.invokeExact(state, arena.allocateFrom("holdfast-fault"), 1);
      if (fd < 0) {
        throw failed("memfd_create", null, errno(state));
      }
      return fd;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void close(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      // The result says nothing that could be acted on: the descriptor is gone either way.
      int _ = (int) CLOSE.invokeExact(arena.allocate(ERRNO_LAYOUT), fd);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Maps a file shared, read-write; {@code address} is 0 or, with MAP_FIXED, where to. */
  static long map(long address, long length, int flags, int fd, long fileOffset) {
    return mapAs(
        address, length, PROT_READ_WRITE, fd, fileOffset, MAP_SHARED | MAP_NORESERVE | flags);
  }

  /** Reserves private memory without a file; it is zero, and takes memory where it was touched. */
  static long mapMemory(long length) {
    return mapAs(0, length, PROT_READ_WRITE, -1, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  }

  /** Reserves addresses to map something else over at once: an access to them ends the process. */
  static long mapNothing(long length) {
    return mapAs(0, length, PROT_NONE, -1, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  }

  private static long mapAs(
      long address, long length, int protection, int fd, long fileOffset, int flags) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      long mapped =
          (long) MMAP.invokeExact(state, address, length, protection, flags, fd, fileOffset);
      if (mapped == MAP_FAILED) {
        throw failed("mmap of " + length + " bytes", null, errno(state));
      }
      return mapped;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void unmap(long address, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      if ((int) MUNMAP.invokeExact(state, address, length) != 0) {
        throw failed("munmap of " + length + " bytes", null, errno(state));
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Drops the pages of a range from this mapping; the file keeps its bytes. */
  static void dropPages(long address, long length) {
    int errno = advise(address, length, MADV_DONTNEED);
    if (errno != 0) {
      throw failed("madvise(MADV_DONTNEED)", null, errno);
    }
  }

  /** Asks for huge pages; whether the kernel has them. */
  static boolean useHugePages(long address, long length) {
    return advise(address, length, MADV_HUGEPAGE) == 0;
  }

  /**
   * How much can be stored where a file is that lies in memory, in bytes; -1 if it lies elsewhere.
   */
  static long roomInMemory(int fd) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      MemorySegment answer = arena.allocate(STATFS_BYTES, Long.BYTES);
      if ((int) FSTATFS.invokeExact(state, fd, answer) != 0
          || answer.get(LONG, STATFS_TYPE) != TMPFS_MAGIC) {
        return -1;
      }
      boolean isLimited = answer.get(LONG, STATFS_BLOCKS) > 0;
      return isLimited
          ? answer.get(LONG, STATFS_AVAILABLE) * answer.get(LONG, STATFS_BLOCK_SIZE)
          : Long.MAX_VALUE;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Has a range that is mapped lie in huge pages; whether it does. */
  static boolean collapse(long address, long length) {
    return advise(address, length, MADV_COLLAPSE) == 0;
  }

  /**
   * Has the pages of a range mapped for writing, as far as that can be done: a page that is gone is
   * an error of the call here, not a signal, and a kernel before 5.14 does nothing.
   */
  static boolean populate(long address, long length) {
    return advise(address, length, MADV_POPULATE_WRITE) == 0;
  }

  /**
   * Whether a page is there to be read but a store to it would be a signal, as on a file system
   * that was shut down: pages that are clean take no stores any more. False where the kernel cannot
   * tell (before 5.14).
   */
  static boolean refusesStores(long address, long length) {
    return advise(address, length, MADV_POPULATE_WRITE) == EFAULT;
  }

  private static int advise(long address, long length, int advice) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      return (int) MADVISE.invokeExact(state, address, length, advice) == 0 ? 0 : errno(state);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void sync(long address, long length, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      if ((int) MSYNC.invokeExact(state, address, length, MS_SYNC) != 0) {
        throw failed("msync", file, errno(state));
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void dataSync(int fd, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      if ((int) FDATASYNC.invokeExact(state, fd) != 0) {
        throw failed("fdatasync", file, errno(state));
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /**
   * Reserves blocks for a range, so that no store to it can meet a full disk.
   *
   * @throws OutOfSpaceException if the place has no room
   */
  static void allocate(int fd, long offset, long length, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      int error;
      do {
        error = (int) FALLOCATE.invokeExact(state, fd, offset, length);
      } while (error == EINTR);
      if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        throw new OutOfSpaceException(
            file
                + ": no room for "
                + length
                + " more bytes at "
                + offset
                + " (errno "
                + error
                + ")");
      }
      if (error != 0) {
        throw failed("posix_fallocate", file, error);
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Gives the blocks of a range back, which is zero then; whether the file system can. */
  static boolean punchHole(int fd, long offset, long length) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      int mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
      return (int) FALLOCATE_MODE.invokeExact(state, fd, mode, offset, length) == 0;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void truncate(int fd, long length, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      if ((int) FTRUNCATE.invokeExact(state, fd, length) != 0) {
        throw failed("ftruncate", file, errno(state));
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Reads exactly {@code length} bytes; no interrupt can close what it reads from. */
  static void read(int fd, long offset, byte[] target, int at, int length, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      MemorySegment buffer = arena.allocate(Math.max(1, length));
      for (long done = 0; done < length; ) {
        long n =
            (long) PREAD.invokeExact(state, fd, buffer.asSlice(done), length - done, offset + done);
        if (n < 0 && errno(state) == EINTR) {
          continue;
        }
        if (n <= 0) {
          throw failed("pread at " + (offset + done), file, n == 0 ? 0 : errno(state));
        }
        done += n;
      }
      MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, target, at, length);
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  static void write(int fd, long offset, byte[] source, int at, int length, Path file) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      MemorySegment buffer = arena.allocate(Math.max(1, length));
      MemorySegment.copy(source, at, buffer, ValueLayout.JAVA_BYTE, 0, length);
      for (long done = 0; done < length; ) {
        long n =
            (long)
                PWRITE.invokeExact(state, fd, buffer.asSlice(done), length - done, offset + done);
        if (n < 0 && errno(state) == EINTR) {
          continue;
        }
        if (n < 0) {
          throw failed("pwrite at " + (offset + done), file, errno(state));
        }
        done += n;
      }
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Makes a system call that takes an int and returns a descriptor; negative: minus errno. */
  static int syscall(long number, int argument) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      long result = (long) SYSCALL.invokeExact(state, number, argument);
      return result < 0 ? -errno(state) : (int) result;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  /** Makes an ioctl on a block of longs, in and out; 0 or minus errno. */
  static int ioctl(int fd, long request, long[] block) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(ERRNO_LAYOUT);
      MemorySegment argument = arena.allocateFrom(LONG, block);
      int result = (int) IOCTL.invokeExact(state, fd, request, argument);
      MemorySegment.copy(argument, LONG, 0, block, 0, block.length);
      return result < 0 ? -errno(state) : 0;
    } catch (Throwable t) {
      throw impossible(t);
    }
  }

  private static int errno(MemorySegment state) {
    return (int) ERRNO.get(state, 0L);
  }

  private static RuntimeException failed(String call, @Nullable Path file, int errno) {
    String where = file == null ? "" : file + ": ";
    return errno == ENOSPC || errno == EDQUOT
        ? new OutOfSpaceException(where + call + " failed: no room left (errno " + errno + ")")
        : new DeviceIoException(
            where + call + " failed: " + (errno == 0 ? "end of file" : "errno " + errno));
  }

  private static RuntimeException impossible(Throwable t) {
    if (t instanceof Error e) {
      throw e;
    }
    return t instanceof RuntimeException e ? e : new IllegalStateException(t);
  }
}
