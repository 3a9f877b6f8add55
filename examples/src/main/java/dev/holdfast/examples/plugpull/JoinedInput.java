package dev.holdfast.examples.plugpull;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Several inputs, one after the other, as many of their entries as a limit admits. An entry that
 * would go beyond the limit is left out, and smaller ones behind it are still taken.
 */
final class JoinedInput implements Input {
  private final String name;
  private final List<Input> parts;

  /** Which part an entry comes from, and its index there. */
  private final int[] part;

  private final int[] index;
  private final List<String> notes = new ArrayList<>();

  JoinedInput(String name, List<Input> parts, long sizeLimit) {
    this.name = name;
    this.parts = List.copyOf(parts);
    int all = parts.stream().mapToInt(Input::count).sum();
    int[] partOf = new int[all];
    int[] indexIn = new int[all];
    int count = 0;
    long bytes = 0;
    for (int p = 0; p < parts.size(); p++) {
      Input input = parts.get(p);
      notes.addAll(input.notes());
      for (int i = 0; i < input.count(); i++) {
        if (input.length(i) <= sizeLimit - bytes) {
          bytes += input.length(i);
          partOf[count] = p;
          indexIn[count++] = i;
        }
      }
    }
    if (count < all) {
      notes.add((all - count) + " of " + all + " entries left out by --size-limit");
    }
    this.part = Arrays.copyOf(partOf, count);
    this.index = Arrays.copyOf(indexIn, count);
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public int count() {
    return part.length;
  }

  @Override
  public byte[] key(int i) {
    return parts.get(part[i]).key(index[i]);
  }

  @Override
  public long length(int i) {
    return parts.get(part[i]).length(index[i]);
  }

  @Override
  public InputStream read(int i) throws IOException {
    return parts.get(part[i]).read(index[i]);
  }

  @Override
  public List<String> notes() {
    return List.copyOf(notes);
  }
}
