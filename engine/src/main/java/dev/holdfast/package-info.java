/**
 * The store that users hold, and what it takes and gives. Read {@link dev.holdfast.Store} first;
 * the page of the module goes through all of it.
 */
@NullMarked
package dev.holdfast;

import org.jspecify.annotations.NullMarked;
