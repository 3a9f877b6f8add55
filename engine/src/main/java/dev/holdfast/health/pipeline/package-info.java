/**
 * Carries the news of faults to who acts on them and to listeners, off the data path. Read {@link
 * dev.holdfast.health.pipeline.HealthPipeline} first.
 */
@NullMarked
package dev.holdfast.health.pipeline;

import org.jspecify.annotations.NullMarked;
