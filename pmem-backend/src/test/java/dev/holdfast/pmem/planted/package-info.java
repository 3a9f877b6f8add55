/** What would be wrong inside the device layer: the rules must find it. */
@NullMarked
package dev.holdfast.pmem.planted;

import org.jspecify.annotations.NullMarked;
