/** One test class for each rule of the volume, and the kills that the store survives. */
@NullMarked
package dev.holdfast.rules;

import org.jspecify.annotations.NullMarked;
