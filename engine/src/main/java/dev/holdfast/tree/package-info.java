/** The tree: clustered append leaves on the devices, two indexes over them in DRAM. */
@NullMarked
package dev.holdfast.tree;

import org.jspecify.annotations.NullMarked;
