package dev.holdfast.tree;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One batch on its way: what it does, to which leaves, and how far it is.
 *
 * <p><b>Threads:</b> the one that writes the batch.
 */
final class BatchRun {
  final BatchOps ops;
  final int count;

  /** The hashes of the keys, in their order. */
  final long[] hashes;

  final InFlightBatch inFlight;

  /** Whether it comes from the log: some of it may be where it belongs already. */
  final boolean replayed;

  /** The extents of its large values. */
  final List<BlobExtents> large = new ArrayList<>();

  /** Whether it is in the log for certain. */
  boolean committed;

  long sequence;
  RedoLog.@Nullable Entry entry;

  /** What it does, once the batch was given back to who wrote it; null before, or if not needed. */
  @Nullable BatchOps kept;

  /** Whether a leg may have the slot. */
  boolean slotTouched;

  /** How many operations have room reserved for them. */
  int reservedUpTo;

  // The leaves that have, and up to which operation, in the order of the keys.
  int groups;
  int[] leaves = new int[4];
  int[] ends = new int[4];

  /** A leaf that was begun for the batch and is still empty, and where it ends; -1 if none is. */
  int freshLeaf = -1;

  int freshTail;

  /** How many leaves are done. */
  int appliedGroups;

  /** Large values that are replaced: given back once nobody can look at what was before. */
  final List<Former> replaced = new ArrayList<>();

  /** Operations on keys that may have been lost. */
  final List<Integer> healed = new ArrayList<>();

  // For one leaf.
  byte[] buffer = {};
  int[] indexes = new int[8];
  long[] olds = new long[8];
  int[] oldSizes = new int[8];
  int changes;
  boolean hasLarge;

  /** Whether something of the leaf was overwritten before what comes next. */
  boolean overwrites;

  final List<Former> formers = new ArrayList<>();

  /** A large value that is replaced, and the sequence of its record. */
  record Former(BlobExtents extents, long from) {}

  /** What has to be as it was read; null where nothing was. */
  final @Nullable ReadGuard guard;

  BatchRun(BatchOps ops, long secret, boolean replayed, @Nullable ReadGuard guard) {
    this.ops = ops;
    this.count = ops.distinct();
    this.replayed = replayed;
    this.guard = guard;
    this.hashes = new long[count];
    for (int i = 0; i < count; i++) {
      hashes[i] = ops.hash(i, secret);
    }
    this.inFlight = guard == null ? new InFlightBatch(hashes, count) : held(guard, secret);
  }

  private InFlightBatch held(ReadGuard read, long secret) {
    if (read.everything()) {
      return InFlightBatch.ofAnyKey(Long.MAX_VALUE);
    }
    long[] all = Arrays.copyOf(hashes, count + read.keys().size());
    int next = count;
    for (byte[] key : read.keys()) {
      all[next++] = KeyHash.of(secret, key, 0, key.length);
    }
    return new InFlightBatch(all, next);
  }

  void addGroup(int leaf, int end) {
    if (groups == leaves.length) {
      leaves = Arrays.copyOf(leaves, 2 * groups);
      ends = Arrays.copyOf(ends, 2 * groups);
    }
    leaves[groups] = leaf;
    ends[groups] = end;
    groups++;
    reservedUpTo = end;
  }

  int beginOf(int group) {
    return group == 0 ? 0 : ends[group - 1];
  }

  /** Notes that an operation changes the leaf; {@code old} is the granule of the former record. */
  void change(int index, long old, int oldSize) {
    if (changes == indexes.length) {
      indexes = Arrays.copyOf(indexes, 2 * changes);
      olds = Arrays.copyOf(olds, 2 * changes);
      oldSizes = Arrays.copyOf(oldSizes, 2 * changes);
    }
    indexes[changes] = index;
    olds[changes] = old;
    oldSizes[changes] = oldSize;
    changes++;
  }

  byte[] buffer(int bytes) {
    if (buffer.length < bytes) {
      buffer = new byte[Math.max(bytes, Math.min(LeafLayout.MAX_BYTES, 2 * buffer.length))];
    }
    return buffer;
  }
}
