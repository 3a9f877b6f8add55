package dev.holdfast.rmap;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** A handle that remembers what it was told. */
final class NamedHandle implements MappingHandle {
  private final int name;
  final List<String> told = new CopyOnWriteArrayList<>();

  NamedHandle(int name) {
    this.name = name;
  }

  int name() {
    return name;
  }

  @Override
  public String describe() {
    return "handle " + name;
  }

  @Override
  public void invalidated(long offset, long length) {
    told.add(offset + "+" + length);
  }
}
