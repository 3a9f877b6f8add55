/**
 * What the loss of a device or a range means, as a pure function. Read {@link
 * dev.holdfast.policy.FailurePolicy} first.
 */
@NullMarked
package dev.holdfast.policy;

import org.jspecify.annotations.NullMarked;
