/**
 * Recorded histories of concurrent operations, and whether one order explains them: begin with
 * {@link dev.holdfast.history.Linearizability}.
 */
@NullMarked
package dev.holdfast.history;

import org.jspecify.annotations.NullMarked;
