/**
 * The Chronicle face of the store: keys and values in {@code Bytes} and {@code BytesStore}, and of
 * what marshals itself to them. Read {@link dev.holdfast.codec.chronicle.BytesView} first.
 *
 * <p>A module that uses it requires {@code chronicle.bytes} itself, and, as that says nothing of
 * what it needs, {@code org.slf4j} and {@code jdk.unsupported}.
 */
@NullMarked
package dev.holdfast.codec.chronicle;

import org.jspecify.annotations.NullMarked;
