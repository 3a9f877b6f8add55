/** An error that would know too much. */
@NullMarked
package dev.holdfast.error.planted;

import org.jspecify.annotations.NullMarked;
