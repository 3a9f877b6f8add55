package dev.holdfast.tree;

import dev.holdfast.volume.LegSet;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A volume where the redo log can have its slots, and the room there for records that do not fit
 * into one. Extents are pairs of a page and a number of pages.
 *
 * <p><b>Threads:</b> the holder of the lock of batches.
 */
sealed interface LogHome {
  /** Where it is. */
  Volume volume();

  /**
   * Takes room.
   *
   * @param pages how many
   * @param mostExtents in so many pieces at most
   * @return null if there is none
   */
  @Nullable List<long[]> take(long pages, int mostExtents);

  /** Gives room back where nobody reads any more. */
  void giveBack(List<long[]> extents);

  /** Keeps the room of a batch that was found from being used for anything else. */
  void claim(List<long[]> extents);

  /** The volume with the leaves, whose pages others take, too. */
  record Shared(Volume volume, PageAllocator allocator) implements LogHome {
    @Override
    public @Nullable List<long[]> take(long pages, int mostExtents) {
      List<long[]> extents = new ArrayList<>();
      long left = pages;
      long piece = Math.min(left, PageAllocator.LONGEST_RUN);
      while (left > 0) {
        int wanted = (int) Math.min(left, piece);
        long page = extents.size() < mostExtents ? allocator.allocateLow(wanted, true) : -1;
        if (page >= 0) {
          extents.add(new long[] {page, wanted});
          left -= wanted;
        } else if (wanted == 1 || extents.size() == mostExtents) {
          giveBack(extents);
          return null;
        } else {
          piece = (wanted + 1L) / 2;
        }
      }
      return extents;
    }

    @Override
    public void giveBack(List<long[]> extents) {
      for (long[] extent : extents) {
        if (volume.isStorable(volume.legs(), extent[0] * PageMap.PAGE, extent[1] * PageMap.PAGE)) {
          allocator.free(extent[0], (int) extent[1]);
        } else {
          allocator.quarantine(extent[0], (int) extent[1]);
        }
      }
    }

    @Override
    public void claim(List<long[]> extents) {
      for (long[] extent : extents) {
        allocator.markUsed(extent[0], (int) extent[1]);
      }
    }
  }

  /** A volume where nothing lies but the log: there is one batch at a time, so all is free. */
  record Alone(Volume volume) implements LogHome {
    private static final long FIRST_PAGE = VolumeLayout.RECORDS_OFFSET / PageMap.PAGE;

    @Override
    public @Nullable List<long[]> take(long pages, int mostExtents) {
      LegSet set = volume.legs();
      long end = volume.capacity() / PageMap.PAGE;
      List<long[]> extents = new ArrayList<>();
      long left = pages;
      for (long page = FIRST_PAGE; page < end && left > 0; ) {
        long length = 0;
        while (length < left && page + length < end && isGood(set, page + length)) {
          length++;
        }
        if (length > 0) {
          extents.add(new long[] {page, length});
          left -= length;
        }
        page += length + 1;
      }
      return left > 0 || extents.size() > mostExtents ? null : extents;
    }

    private boolean isGood(LegSet set, long page) {
      return volume.isStorableOnAll(set, page * PageMap.PAGE, PageMap.PAGE);
    }

    @Override
    public void giveBack(List<long[]> extents) {
      // Nobody else takes any.
    }

    @Override
    public void claim(List<long[]> extents) {
      // As above; and no batch begins before the one that was found is settled.
    }
  }
}
