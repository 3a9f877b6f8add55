/**
 * Values of types as bytes, in an order that is theirs where they have one. Read {@link
 * dev.holdfast.codec.Codec} first; {@link dev.holdfast.codec.Codecs} has those of common types.
 */
@NullMarked
package dev.holdfast.codec;

import org.jspecify.annotations.NullMarked;
