/**
 * The stores that are measured beside each other, ours and its peers, behind one small interface:
 * {@link dev.holdfast.benchmarks.contender.Contender}.
 */
@NullMarked
package dev.holdfast.benchmarks.contender;

import org.jspecify.annotations.NullMarked;
