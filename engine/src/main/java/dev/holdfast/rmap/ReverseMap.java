package dev.holdfast.rmap;

import java.util.function.Consumer;

/**
 * From a range of a volume to what lives there ({@linkplain #own owners}, cold data included) and
 * to who can touch it at this moment ({@linkplain #pin live mappings}).
 *
 * <p>What fails is a range of a device, and neither the device nor the threads that fault on it
 * know what that means. This map does: it names what was lost, and it finds everybody who has to
 * let go.
 *
 * <p><b>Units:</b> offsets and lengths are bytes, volume-relative; ranges are half-open.
 * <b>Threads:</b> all methods are safe for any thread, virtual ones too; none takes a lock or
 * waits. <b>Durability:</b> none; the map is rebuilt when a store opens.
 *
 * <p><b>Source:</b> the two levels of Linux: {@code fs/xfs/libxfs/xfs_rmap_btree.c} (extent to
 * owner) and the interval tree of a file's mappings in {@code mm/memory-failure.c}, where the
 * kernel walks every process to find who mapped a page.
 */
public final class ReverseMap {
  private final OwnerIndex owners = new OwnerIndex();
  private final MappingIndex mappings = MappingIndex.forThisMachine();

  private volatile OwnerSource source = (offset, length, consumer) -> {};

  /** An empty map. */
  public ReverseMap() {}

  /**
   * Joins a structure that knows its extents itself: they are shown behind those that were
   * {@linkplain #own owned} one by one.
   */
  public void join(OwnerSource joined) {
    source = joined;
  }

  /**
   * Records that {@code extent} holds what its owner says, until it is {@linkplain #disown
   * disowned}. The extents of a map are disjoint; overlapping ones are a bug of the caller, which
   * an assertion reports.
   */
  public void own(OwnedExtent extent) {
    owners.add(extent);
  }

  /**
   * Ends what {@link #own} began. An extent that another one of the same offset has replaced is
   * left alone.
   */
  public void disown(OwnedExtent extent) {
    owners.remove(extent);
  }

  /**
   * Shows {@code consumer} every owned extent that shares a byte with the range, ascending by
   * offset. Costs O(log n + k) for k extents shown of n.
   *
   * <p><b>Threads:</b> weakly consistent: what is owned all the time of the call is shown once;
   * what comes or goes meanwhile may be shown or not. No lock is held while {@code consumer} runs.
   */
  public void owners(long offset, long length, Consumer<? super OwnedExtent> consumer) {
    checkRange(offset, length);
    owners.visit(offset, length, consumer);
    source.visit(offset, length, consumer);
  }

  /**
   * Records that {@code handle} can touch the range from now on, until {@link #unpin}. A handle may
   * hold any number of pins.
   *
   * <p>It allocates nothing and takes no lock, but for when more pins are live than ever before in
   * their part of the volume: then it makes room. 2<sup>28</sup> pins at once are the limit.
   *
   * <p><b>Threads:</b> a pin that has returned is found by every {@linkplain #mappings lookup} that
   * begins after that and ends before its unpin begins. It is also ordered before every volatile
   * read that follows it in its thread: a thread that pins and then reads whether the device is
   * fenced, and one that fences the device and then looks up, cannot both miss each other.
   *
   * @param length the number of bytes, > 0
   * @return the token that {@link #unpin} wants
   * @throws IllegalStateException if too many pins are live
   */
  public long pin(long offset, long length, MappingHandle handle) {
    checkRange(offset, length);
    if (length == 0) {
      throw new IllegalArgumentException("length: expected > 0, was 0");
    }
    return mappings.pin(offset, length, handle);
  }

  /**
   * Drops a pin. Harmless when it was dropped before, even where its place has been taken by
   * another pin since: a token names one pin, not its place (until that place was used
   * 2<sup>36</sup> times).
   *
   * <p><b>Threads:</b> any, not only the one that pinned; everything it did before is ordered
   * before the drop.
   *
   * @return whether this call dropped the pin
   */
  public boolean unpin(long token) {
    return mappings.unpin(token);
  }

  /**
   * Shows {@code visitor} every live mapping that shares a byte with the range, once a pin, in no
   * order.
   *
   * <p>Costs, with m pins at most live at once so far, an expected O(log m) for each region of the
   * range and each of at most 16 size classes in use, plus the pins found and those that lie in the
   * same regions; a region is 1 MiB in the class of the shortest pins. It never costs more than O(m
   * + a constant), which is what the whole volume costs.
   *
   * <p><b>Threads:</b> weakly consistent, as {@link #pin} promises; what comes or goes meanwhile
   * may be shown or not. No lock is held while {@code visitor} runs.
   */
  public void mappings(long offset, long length, MappingVisitor visitor) {
    checkRange(offset, length);
    mappings.visit(offset, length, visitor);
  }

  /**
   * Tells every handle with a live mapping in the range which part of it is lost: {@link
   * MappingHandle#invalidated}, once a pin.
   *
   * <p><b>Failure:</b> a handle that throws does not keep the others from being told; the first
   * exception is thrown when all have been, with the others suppressed in it.
   *
   * @return how many pins were told of
   */
  public int invalidate(long offset, long length) {
    checkRange(offset, length);
    Invalidation invalidation = new Invalidation(offset, offset + length);
    mappings.visit(offset, length, invalidation);
    return invalidation.outcome();
  }

  private static void checkRange(long offset, long length) {
    if (offset < 0 || length < 0 || offset + length < 0) {
      throw new IllegalArgumentException(
          "range: expected offset ≥ 0 and length ≥ 0, was [" + offset + ", +" + length + ")");
    }
  }
}
