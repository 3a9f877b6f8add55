package dev.holdfast.pmem;

import java.util.List;

/**
 * What a device says when it is asked which of its blocks are bad. That there are none, that it
 * cannot know, and that it could not be asked are three answers: who takes the second or third for
 * the first trusts what nobody looked at.
 */
public sealed interface BadBlockAnswer {
  /**
   * The device keeps a list, and it was read.
   *
   * @param ranges the bad ranges, ascending, disjoint; empty where none is bad
   */
  record Listed(List<BadRange> ranges) implements BadBlockAnswer {
    /** Copies the list. */
    public Listed {
      ranges = List.copyOf(ranges);
    }
  }

  /**
   * What the device lies on keeps no list. Bad blocks are found by accesses alone.
   *
   * @param why for people
   */
  record Unsupported(String why) implements BadBlockAnswer {}

  /**
   * There is a list, and it cannot be read now.
   *
   * @param why for people
   */
  record Failed(String why) implements BadBlockAnswer {}
}
