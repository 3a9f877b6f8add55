/**
 * The reverse map: from a range of the volume to what lives there and who can touch it now. Read
 * {@link dev.holdfast.rmap.ReverseMap} first.
 */
@NullMarked
package dev.holdfast.rmap;

import org.jspecify.annotations.NullMarked;
