package dev.holdfast.examples.plugpull;

import java.util.Locale;

/** What goes wrong half-way. */
enum FaultChoice {
  /** The leg that serves reads is pulled out without warning. */
  REMOVE,
  /** Pages that hold live records are poisoned, on the leg that serves reads. */
  POISON,
  /** Pages that hold what the store needs to work are poisoned, on the leg that serves reads. */
  POISON_METADATA,
  /** Both legs are pulled out, one right after the other. */
  REMOVE_BOTH,
  /** The importing process is killed with SIGKILL. */
  KILL,
  /** The file system under the leg that serves reads is shut down, and mounted again later. */
  FS_SHUTDOWN,
  /**
   * The file system under a leg is shut down, and the importing process is killed before anybody
   * noticed.
   */
  FS_SHUTDOWN_KILL,
  /** Nothing: the control. */
  NONE;

  /** The name on the command line. */
  String option() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Whether each leg needs a file system of its own. */
  boolean needsFileSystems() {
    return this == FS_SHUTDOWN || this == FS_SHUTDOWN_KILL;
  }

  /** Whether a process of its own imports, and dies of it. */
  boolean kills() {
    return this == KILL || this == FS_SHUTDOWN_KILL;
  }

  boolean poisons() {
    return this == POISON || this == POISON_METADATA;
  }

  @Override
  public String toString() {
    return option();
  }
}
