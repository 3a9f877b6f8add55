package dev.holdfast.pmem;

/**
 * Makes single pages of a mapping fault, as poisoned memory does.
 *
 * <p>Where the kernel allows it, through {@code UFFDIO_POISON} of userfaultfd (Linux ≥ 6.6, shared
 * memory files): the page table says poison, as after a machine check. Everywhere else a page of
 * the empty fault file is mapped over the page. Both raise SIGBUS.
 *
 * <p><b>Source:</b> userfaultfd(2), ioctl_userfaultfd(2); {@code include/uapi/linux/userfaultfd.h}.
 */
final class PagePoison {
  private static final int UFFD_USER_MODE_ONLY = 1;
  private static final int O_CLOEXEC = 0x80000;
  private static final long UFFDIO_API = 0xc018aa3fL;
  private static final long UFFDIO_REGISTER = 0xc020aa00L;
  private static final long UFFDIO_POISON = 0xc020aa08L;
  private static final long API_VERSION = 0xaa;
  private static final long FEATURE_SIGBUS = 1L << 7;
  private static final long FEATURE_POISON = 1L << 14;
  private static final long MODE_MISSING = 1;

  /** What this process poisons with; the descriptor lives as long as the poison it made. */
  static final PagePoison SYSTEM = probe();

  /** Always the fault file, as on a kernel that cannot do better. */
  static final PagePoison FAULT_PAGE = new PagePoison(-1);

  private final int uffd;

  private PagePoison(int uffd) {
    this.uffd = uffd;
  }

  /** Finds out what the kernel can do. */
  private static PagePoison probe() {
    int fd = Posix.syscall(Posix.SYS_USERFAULTFD, UFFD_USER_MODE_ONLY | O_CLOEXEC);
    if (fd < 0) {
      return new PagePoison(-1);
    }
    // SIGBUS: a missing page must raise the signal, not wait for a handler that is not there.
    long[] api = {API_VERSION, FEATURE_SIGBUS | FEATURE_POISON, 0};
    if (Posix.ioctl(fd, UFFDIO_API, api) < 0) {
      Posix.close(fd);
      return new PagePoison(-1);
    }
    return new PagePoison(fd);
  }

  /** Poisons pages that lie inside one mapping; false where only the fault file can. */
  boolean poison(long address, long length) {
    if (uffd < 0) {
      return false;
    }
    long[] register = {address, length, MODE_MISSING, 0};
    if (Posix.ioctl(uffd, UFFDIO_REGISTER, register) < 0) {
      return false;
    }
    // Poison goes where no page is; another thread may touch the page in between and bring it back.
    for (int attempt = 0; attempt < 1_000; attempt++) {
      Posix.dropPages(address, length);
      long[] poison = {address, length, 0, 0};
      if (Posix.ioctl(uffd, UFFDIO_POISON, poison) == 0) {
        return true;
      }
    }
    return false;
  }

  /** Which way this goes, for messages. */
  String name() {
    return uffd >= 0 ? "UFFDIO_POISON" : "fault page";
  }
}
