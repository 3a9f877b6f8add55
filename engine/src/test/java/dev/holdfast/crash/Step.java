package dev.holdfast.crash;

import dev.holdfast.Store;
import java.util.Map;

/** The operations that sequences are made of. */
enum Step {
  PUT_NEW {
    @Override
    Change change(Base base, int number) {
      return Change.put("k1" + number + "n", number, 24);
    }
  },
  OVERWRITE {
    @Override
    Change change(Base base, int number) {
      return Change.put("k10s", 100 + number, 24);
    }
  },
  /** The value gets larger, and stays in the leaf. */
  GROW {
    @Override
    Change change(Base base, int number) {
      return Change.put("k05s", 200 + number, 150 + 60 * number);
    }
  },
  /** The value becomes too large for the leaf. */
  GROW_TO_EXTENT {
    @Override
    Change change(Base base, int number) {
      return Change.put("k15s", 300 + number, 1_700 + 3_000 * number);
    }
  },
  /** A value in an extent gets another extent; the former one is given back. */
  OVERWRITE_EXTENT {
    @Override
    Change change(Base base, int number) {
      return Change.put("k06b", 400 + number, 2_000);
    }
  },
  DELETE {
    @Override
    Change change(Base base, int number) {
      return Change.remove(number == 0 ? "k20s" : "k00s");
    }
  },
  DELETE_EXTENT {
    @Override
    Change change(Base base, int number) {
      return Change.remove(number == 0 ? "k31b" : "k06b");
    }
  },
  /** Several keys in both leaves, one of them with a value in an extent: all of it or nothing. */
  BATCH {
    @Override
    Change change(Base base, int number) {
      return Change.batch(
          Change.put("k1" + number + "p", 500 + number, 24),
          Change.put("k30s", 510 + number, 40),
          Change.put("k06b", 520 + number, 2_000),
          Change.remove(number == 0 ? "k20s" : "k00s"));
    }
  },
  /** The leaf has no room, and is written anew. */
  REWRITE {
    @Override
    Change change(Base base, int number) {
      return base.nextLeft(number);
    }
  },
  SPLIT {
    @Override
    Change change(Base base, int number) {
      return base.nextRight(number);
    }
  },
  /** Everything is written anew. */
  COMPACT {
    @Override
    Change change(Base base, int number) {
      return new Change(Map.of(), Store::compact);
    }
  };

  /**
   * What it does.
   *
   * @param number how many operations of the sequence come before it
   */
  abstract Change change(Base base, int number);
}
