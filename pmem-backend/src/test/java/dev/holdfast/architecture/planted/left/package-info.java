/** One half of a cycle. */
@NullMarked
package dev.holdfast.architecture.planted.left;

import org.jspecify.annotations.NullMarked;
