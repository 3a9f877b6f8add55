/** Events that expire, by topic, and a live view of the newest. */
@org.jspecify.annotations.NullMarked
package dev.holdfast.examples.tail;
