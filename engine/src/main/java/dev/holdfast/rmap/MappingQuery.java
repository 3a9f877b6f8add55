package dev.holdfast.rmap;

/**
 * What a lookup wants of the slots it goes through: pins that share a byte with {@code [offset,
 * end)}, and where it goes region by region, only those of one region: different regions share
 * buckets, and no pin may be shown twice.
 *
 * @param sizeClass the class, or {@link #ANY}
 * @param region the region that the pin begins in
 */
record MappingQuery(long offset, long end, int sizeClass, long region) {
  static final int ANY = -1;

  boolean matches(long pinned, long pinnedEnd) {
    return pinned < end
        && offset < pinnedEnd
        && (sizeClass == ANY
            || (SizeClass.of(pinnedEnd - pinned) == sizeClass
                && SizeClass.region(sizeClass, pinned) == region));
  }
}
