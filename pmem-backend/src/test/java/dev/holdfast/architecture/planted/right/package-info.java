/** One half of a cycle. */
@NullMarked
package dev.holdfast.architecture.planted.right;

import org.jspecify.annotations.NullMarked;
