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
  boolean update;
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
   * Brings up to date what an earlier checkpoint of this store left at the place, where there is
   * one: what differs is written, and nothing else. Where nothing is there a whole one is made; a
   * checkpoint of another store, one that was opened since to be written to, and anything else that
   * is there is refused. To look into one open it by {@link StoreBuilder#readOnly}.
   *
   * <p>The earlier one is copied, the copy is changed, and then the two change places, so that
   * whenever it ends the place has the earlier one or the new one, and whole. On a file system that
   * cannot exchange two names a crash may leave the earlier one beside, as {@code NAME.former},
   * where the next update finds it. Where the file system can share what is equal (XFS, Btrfs) the
   * copy takes neither time nor room; elsewhere it is one of files, and takes as much room again
   * until it is done. It keeps the number of legs that it has. Both stores are read, as the
   * difference is found by comparing them: a value that was written anew and is the same costs
   * nothing, and nothing is believed that an earlier run left. It takes as much heap as the two
   * largest values.
   *
   * @return these options
   */
  public CheckpointOptions update() {
    update = true;
    return this;
  }

  /**
   * Leaves out what no leg of the store holds any more, and lists it in the report, instead of
   * ending with a {@link dev.holdfast.error.DataLostException}. In the checkpoint those keys have
   * no value, and nothing says that they had one. A checkpoint that is there is not brought up to
   * date so: it may have the last copy of what is lost.
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
