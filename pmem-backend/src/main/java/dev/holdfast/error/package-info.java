/**
 * What can go wrong, as unchecked exceptions under one root, {@link
 * dev.holdfast.error.HoldfastException}. A message says what happened, where, what was expected and
 * what was found; it never carries bytes of a value.
 */
@NullMarked
package dev.holdfast.error;

import org.jspecify.annotations.NullMarked;
