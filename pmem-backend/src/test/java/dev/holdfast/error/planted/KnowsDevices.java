package dev.holdfast.error.planted;

import dev.holdfast.pmem.BadRange;

/** Knows the device layer. */
record KnowsDevices(BadRange range) {}
