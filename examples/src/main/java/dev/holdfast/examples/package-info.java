/**
 * Programs that use the store as its users do; {@code examples/run} lists and runs them. Read
 * {@link dev.holdfast.examples.Examples} first.
 */
@NullMarked
package dev.holdfast.examples;

import org.jspecify.annotations.NullMarked;
