package dev.holdfast.codec;

/**
 * Two values, as a key has them: see {@link Codecs#tuple}.
 *
 * @param <A> the type of the first one
 * @param <B> the type of the second one
 * @param first the first one
 * @param second the second one
 */
public record Tuple2<A, B>(A first, B second) {}
