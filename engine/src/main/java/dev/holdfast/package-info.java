/** The store that users hold. Read {@link dev.holdfast.Store} first. */
@NullMarked
package dev.holdfast;

import org.jspecify.annotations.NullMarked;
