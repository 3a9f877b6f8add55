/**
 * Writes that nobody waits for in his own thread: a ring, and the one thread that stores what is in
 * it. Begin with {@link dev.holdfast.async.WriteRing}.
 */
@NullMarked
package dev.holdfast.async;

import org.jspecify.annotations.NullMarked;
