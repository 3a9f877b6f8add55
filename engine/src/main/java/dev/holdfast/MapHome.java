package dev.holdfast;

import dev.holdfast.tree.Tree;
import org.jspecify.annotations.Nullable;

/**
 * Where the entries of a map lie.
 *
 * @param tree the tree of its store
 * @param number what its keys begin with
 * @param gate what its writers pass; null for the map that is never dropped
 */
record MapHome(Tree tree, int number, @Nullable MapGate gate) {}
