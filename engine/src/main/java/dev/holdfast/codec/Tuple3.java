package dev.holdfast.codec;

/**
 * Three values, as a key has them: see {@link Codecs#tuple}.
 *
 * @param <A> the type of the first one
 * @param <B> the type of the second one
 * @param <C> the type of the third one
 * @param first the first one
 * @param second the second one
 * @param third the third one
 */
public record Tuple3<A, B, C>(A first, B second, C third) {}
