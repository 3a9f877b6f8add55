package dev.holdfast.volume;

import dev.holdfast.pmem.PmemDevice;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which legs are read and which are written, at one time. Immutable; a change is another set behind
 * the one volatile field of the {@link Volume}, and an operation that finds another one behind its
 * barrier has done nothing.
 */
public final class LegSet {
  final Epoch epoch;
  final Leg.Mapped[] readers;
  final Leg.Mapped[] writers;
  final @Nullable Exclusions exclusions;

  /** Whether something is copied between legs: then writers lock the regions that they store to. */
  final boolean copying;

  LegSet(
      Epoch epoch,
      List<Leg.Mapped> readers,
      List<Leg.Mapped> writers,
      @Nullable Exclusions exclusions,
      boolean copying) {
    this.epoch = epoch;
    this.readers = readers.toArray(Leg.Mapped[]::new);
    this.writers = writers.toArray(Leg.Mapped[]::new);
    this.exclusions = exclusions;
    this.copying = copying;
  }

  /** The number of legs that can be read, the preferred one first. */
  public int readers() {
    return readers.length;
  }

  /** The number of legs that are written. */
  public int writers() {
    return writers.length;
  }

  /** Whether a reader can serve a range. */
  public boolean canRead(int reader, long offset, long length) {
    Exclusions excluded = exclusions;
    return excluded == null
        || !excluded.forbidReading(readers[reader].leg().index(), offset, length);
  }

  /** Whether a writer can be stored to, and so be reached at all, in a range. */
  boolean canWrite(int writer, long offset, long length) {
    Exclusions excluded = exclusions;
    return excluded == null
        || !excluded.forbidWriting(writers[writer].leg().index(), offset, length);
  }

  /** Whether some reader can serve each byte of a range, though no one all of it. */
  boolean canAssemble(long offset, long length, int step) {
    long end = offset + length;
    for (long at = offset; at < end; at = nextStep(at, step)) {
      if (readerOf(at, Math.min(end, nextStep(at, step)) - at) < 0) {
        return false;
      }
    }
    return true;
  }

  int readerOf(long offset, long length) {
    for (int reader = 0; reader < readers.length; reader++) {
      if (canRead(reader, offset, length)) {
        return reader;
      }
    }
    return -1;
  }

  static long nextStep(long at, int step) {
    return (at / step + 1) * step;
  }

  /** The index of the leg behind a reader. */
  public int legOf(int reader) {
    return readers[reader].leg().index();
  }

  /** The device behind a reader. */
  public PmemDevice deviceOf(int reader) {
    return readers[reader].leg().device();
  }
}
