package dev.holdfast;

import java.util.Objects;
import java.util.function.Consumer;

/**
 * How a checkpoint is made. None of it is needed.
 *
 * <p><b>Threads:</b> one at a time.
 */
public final class CheckpointOptions {
  boolean mirror;
  boolean leaveOutLost;
  Consumer<CheckpointProgress> progress = _ -> {};

  /** One leg; what is lost ends it; nobody is told how far it is. */
  public CheckpointOptions() {}

  /**
   * Two legs instead of one. {@link Store#attach} adds them later, too.
   *
   * @return these options
   */
  public CheckpointOptions mirror() {
    mirror = true;
    return this;
  }

  /**
   * Leaves out what no leg of the store holds any more, and lists it in the report, instead of
   * ending with a {@link dev.holdfast.error.DataLostException}. In the checkpoint those keys have
   * no value, and nothing says that they had one.
   *
   * @return these options
   */
  public CheckpointOptions leaveOutLost() {
    leaveOutLost = true;
    return this;
  }

  /**
   * Is told how far it is, now and then, by the calling thread. What it throws ends it.
   *
   * @param progress is told
   * @return these options
   */
  public CheckpointOptions progress(Consumer<CheckpointProgress> progress) {
    this.progress = Objects.requireNonNull(progress, "progress");
    return this;
  }
}
