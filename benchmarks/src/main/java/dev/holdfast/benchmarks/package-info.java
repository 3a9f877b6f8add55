/**
 * Measures what the store promises: begin reading at {@link dev.holdfast.benchmarks.Benchmarks}.
 */
@NullMarked
package dev.holdfast.benchmarks;

import org.jspecify.annotations.NullMarked;
