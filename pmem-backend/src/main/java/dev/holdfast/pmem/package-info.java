/**
 * Devices, windows over them, their faults, and the one gateway to their memory. Read {@link
 * dev.holdfast.pmem.PmemDevice} first, then {@link dev.holdfast.pmem.Gateway}.
 */
@NullMarked
package dev.holdfast.pmem;

import org.jspecify.annotations.NullMarked;
