package dev.holdfast.examples.tail;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What a run is.
 *
 * @param topics how many topics
 * @param rate how many events a second each has
 * @param timeToLive how long an event is there
 * @param length how long events come
 * @param isPulled whether the device of a leg is pulled out on the way, and put back
 * @param place where the store is made; null for shared memory
 */
record TailSettings(
    int topics,
    int rate,
    Duration timeToLive,
    Duration length,
    boolean isPulled,
    @Nullable Path place) {}
