package dev.holdfast.codec;

/**
 * Four values, as a key has them: see {@link Codecs#tuple}.
 *
 * @param <A> the type of the first one
 * @param <B> the type of the second one
 * @param <C> the type of the third one
 * @param <D> the type of the fourth one
 * @param first the first one
 * @param second the second one
 * @param third the third one
 * @param fourth the fourth one
 */
public record Tuple4<A, B, C, D>(A first, B second, C third, D fourth) {}
