/**
 * Pulls the memory out from under a store while real data is being written to it and read from it,
 * and proves by a ledger of its own that nothing was lost. Read {@link
 * dev.holdfast.examples.plugpull.PlugPull} (the command line) first, then {@code Run} (the course
 * of events), {@code Load} (writer and readers) and {@code Verdict} (what must hold at the end).
 */
@NullMarked
package dev.holdfast.examples.plugpull;

import org.jspecify.annotations.NullMarked;
