/** Legs that hold the same bytes, and the leg set that says which of them to read and to write. */
@NullMarked
package dev.holdfast.volume;

import org.jspecify.annotations.NullMarked;
