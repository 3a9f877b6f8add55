/**
 * The Chronicle face of the store: keys and values in {@code Bytes} and {@code BytesStore}. Read
 * {@link dev.holdfast.codec.BytesView} first.
 */
@NullMarked
package dev.holdfast.codec;

import org.jspecify.annotations.NullMarked;
