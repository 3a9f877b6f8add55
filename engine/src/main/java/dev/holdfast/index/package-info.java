/**
 * Records on the device and the ordered index over them in DRAM. Read {@link
 * dev.holdfast.index.RecordStore} first.
 */
@NullMarked
package dev.holdfast.index;

import org.jspecify.annotations.NullMarked;
