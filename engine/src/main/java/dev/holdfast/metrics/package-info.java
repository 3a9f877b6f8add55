/**
 * Meters for Micrometer, which whoever uses them brings along: a module requires {@code
 * micrometer.core} itself. Read {@link dev.holdfast.metrics.StoreMetrics} first.
 */
@NullMarked
package dev.holdfast.metrics;

import org.jspecify.annotations.NullMarked;
