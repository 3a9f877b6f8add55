/** Accounts whose sum never changes, whatever happens to the devices under them. */
@org.jspecify.annotations.NullMarked
package dev.holdfast.examples.ledger;
