package dev.holdfast.volume;

import dev.holdfast.pmem.FaultInjector;

/**
 * Where things lie on every leg of a volume, in bytes.
 *
 * <pre>
 *  0            256K          512K        640K        960K    1M                      capacity
 *  +-------------+-------------+-----------+-----------+-------+------------------------+
 *  | superblock  | superblock  | dirty map | root of   | log   | pages: leaves, values, |
 *  | copy 0      | copy 1      |           | the table | table | chunks of the leaf     |
 *  |             |             |           |           |       | table, records of the  |
 *  |             |             |           |           |       | log                    |
 *  +-------------+-------------+-----------+-----------+-------+------------------------+
 * </pre>
 *
 * The superblocks differ from leg to leg, the rest is the same on all.
 */
public final class VolumeLayout {
  /** The version of everything that the engine puts on a device. */
  public static final int FORMAT_VERSION = 4;

  /** The number of copies of the superblock on a leg. */
  public static final int SUPERBLOCK_COPIES = 2;

  /** The bytes that a copy of the superblock may take. */
  public static final int SUPERBLOCK_SIZE = 256 << 10;

  /** Where the dirty map begins. */
  public static final long DIRTY_MAP_OFFSET = (long) SUPERBLOCK_COPIES * SUPERBLOCK_SIZE;

  /** The bytes of the dirty map: one bit a region. */
  public static final int DIRTY_MAP_SIZE = 128 << 10;

  /** Where the root of the leaf table begins. */
  public static final long TABLE_ROOT_OFFSET = DIRTY_MAP_OFFSET + DIRTY_MAP_SIZE;

  /** The unit of the dirty map, and of copying a leg. */
  public static final int REGION_SIZE = 1 << 20;

  /** Where the records begin. */
  public static final long RECORDS_OFFSET = 1 << 20;

  /** The bytes of the log table. */
  public static final int LOG_TABLE_SIZE = 64 << 10;

  /** Where the log table begins. */
  public static final long LOG_TABLE_OFFSET = RECORDS_OFFSET - LOG_TABLE_SIZE;

  /** The bytes of the root of the leaf table. */
  public static final int TABLE_ROOT_SIZE = (int) (LOG_TABLE_OFFSET - TABLE_ROOT_OFFSET);

  /** The most legs that a volume has. */
  public static final int MAX_LEGS = 8;

  /** The most bytes that a volume can have: what the dirty map can tell. */
  public static final long MAX_CAPACITY = (long) DIRTY_MAP_SIZE * Byte.SIZE * REGION_SIZE;

  private VolumeLayout() {}

  /** The largest capacity of whole pages that is not larger. */
  public static long wholePages(long bytes) {
    int page = FaultInjector.pageSize();
    return bytes / page * page;
  }

  static long superblockOffset(int copy) {
    return (long) copy * SUPERBLOCK_SIZE;
  }
}
