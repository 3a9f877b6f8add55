/** The news of faults and what follows from them, off the data path. */
@NullMarked
package dev.holdfast.health;

import org.jspecify.annotations.NullMarked;
