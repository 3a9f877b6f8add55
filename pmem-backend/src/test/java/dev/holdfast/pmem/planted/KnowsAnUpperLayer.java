package dev.holdfast.pmem.planted;

import dev.holdfast.architecture.planted.left.Left;

/** Knows somebody outside of the device layer. */
record KnowsAnUpperLayer(Left left) {}
