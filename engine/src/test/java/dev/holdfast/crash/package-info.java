/** What a power cut leaves of a store, at every store, flush and fence. */
@NullMarked
package dev.holdfast.crash;

import org.jspecify.annotations.NullMarked;
