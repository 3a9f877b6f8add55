package dev.holdfast.codec;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@link Codecs#tuple} of two. */
record Tuple2Codec<A, B>(Codec<A> a, Codec<B> b, TupleBytes bytes) implements Codec<Tuple2<A, B>> {
  @Override
  public byte[] encode(Tuple2<A, B> value) {
    return bytes.join(a.encode(value.first()), b.encode(value.second()));
  }

  @Override
  public Tuple2<A, B> decode(byte[] encoded) {
    List<byte[]> parts = bytes.split(encoded);
    return new Tuple2<>(a.decode(parts.get(0)), b.decode(parts.get(1)));
  }

  @Override
  public @Nullable Comparator<Tuple2<A, B>> comparator() {
    Comparator<? super A> first = a.comparator();
    Comparator<? super B> second = b.comparator();
    if (first == null || second == null) {
      return null;
    }
    return Comparator.<Tuple2<A, B>, A>comparing(Tuple2::first, first)
        .thenComparing(Tuple2::second, second);
  }

  @Override
  public int length() {
    return bytes.length();
  }
}
