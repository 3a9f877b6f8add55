package dev.holdfast.codec;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@link Codecs#tuple} of three. */
record Tuple3Codec<A, B, C>(Codec<A> a, Codec<B> b, Codec<C> c, TupleBytes bytes)
    implements Codec<Tuple3<A, B, C>> {
  @Override
  public byte[] encode(Tuple3<A, B, C> value) {
    return bytes.join(a.encode(value.first()), b.encode(value.second()), c.encode(value.third()));
  }

  @Override
  public Tuple3<A, B, C> decode(byte[] encoded) {
    List<byte[]> parts = bytes.split(encoded);
    return new Tuple3<>(a.decode(parts.get(0)), b.decode(parts.get(1)), c.decode(parts.get(2)));
  }

  @Override
  public @Nullable Comparator<Tuple3<A, B, C>> comparator() {
    Comparator<? super A> first = a.comparator();
    Comparator<? super B> second = b.comparator();
    Comparator<? super C> third = c.comparator();
    if (first == null || second == null || third == null) {
      return null;
    }
    return Comparator.<Tuple3<A, B, C>, A>comparing(Tuple3::first, first)
        .thenComparing(Tuple3::second, second)
        .thenComparing(Tuple3::third, third);
  }

  @Override
  public int length() {
    return bytes.length();
  }
}
