/**
 * Meters for Micrometer, which whoever uses them brings along. Read {@link
 * dev.holdfast.metrics.StoreMetrics} first.
 */
@NullMarked
package dev.holdfast.metrics;

import org.jspecify.annotations.NullMarked;
