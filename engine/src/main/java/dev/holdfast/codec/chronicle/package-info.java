/**
 * The Chronicle face of the store: keys and values in {@code Bytes} and {@code BytesStore}, and of
 * what marshals itself to them. Read {@link dev.holdfast.codec.chronicle.BytesView} first.
 */
@NullMarked
package dev.holdfast.codec.chronicle;

import org.jspecify.annotations.NullMarked;
