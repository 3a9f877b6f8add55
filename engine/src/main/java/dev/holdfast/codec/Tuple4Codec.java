package dev.holdfast.codec;

import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@link Codecs#tuple} of four. */
record Tuple4Codec<A, B, C, D>(Codec<A> a, Codec<B> b, Codec<C> c, Codec<D> d, TupleBytes bytes)
    implements Codec<Tuple4<A, B, C, D>> {
  @Override
  public byte[] encode(Tuple4<A, B, C, D> value) {
    return bytes.join(
        a.encode(value.first()),
        b.encode(value.second()),
        c.encode(value.third()),
        d.encode(value.fourth()));
  }

  @Override
  public Tuple4<A, B, C, D> decode(byte[] encoded) {
    List<byte[]> parts = bytes.split(encoded);
    return new Tuple4<>(
        a.decode(parts.get(0)),
        b.decode(parts.get(1)),
        c.decode(parts.get(2)),
        d.decode(parts.get(3)));
  }

  @Override
  public @Nullable Comparator<Tuple4<A, B, C, D>> comparator() {
    Comparator<? super A> first = a.comparator();
    Comparator<? super B> second = b.comparator();
    Comparator<? super C> third = c.comparator();
    Comparator<? super D> fourth = d.comparator();
    if (first == null || second == null || third == null || fourth == null) {
      return null;
    }
    return Comparator.<Tuple4<A, B, C, D>, A>comparing(Tuple4::first, first)
        .thenComparing(Tuple4::second, second)
        .thenComparing(Tuple4::third, third)
        .thenComparing(Tuple4::fourth, fourth);
  }

  @Override
  public int length() {
    return bytes.length();
  }
}
