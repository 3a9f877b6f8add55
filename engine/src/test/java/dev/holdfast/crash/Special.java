package dev.holdfast.crash;

import dev.holdfast.ScrubReport;
import dev.holdfast.StoreExtent;
import dev.holdfast.health.StoreState;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.volume.SwitchObserver;
import dev.holdfast.volume.VolumeLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.awaitility.Awaitility;

/** What happens in the life of a store beside the operations of {@link Step}. */
enum Special {
  CREATE(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      return Recording.of(
          name(),
          setup,
          directory,
          Contents.empty(),
          prepare,
          recording -> {
            recording.open();
            recording.change(Change.put("a", 1, 24));
            recording.change(Change.put("b", 1, 1_700));
          });
    }
  },
  /** A leaf gets its first value in an extent. */
  FIRST_EXTENT(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      return Recording.of(
          name(),
          setup,
          directory,
          Contents.empty(),
          prepare,
          recording -> {
            recording.open();
            recording.change(Change.put("a", 1, 24));
            recording.begin();
            recording.change(Change.put("c", 1, 1_700));
          });
    }
  },
  OPEN(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.change(Step.OVERWRITE.change(base, 0));
    }
  },
  CLOSE(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.change(Step.OVERWRITE.change(base, 0));
      recording.change(Step.GROW_TO_EXTENT.change(base, 1));
      recording.change(Step.SPLIT.change(base, 2));
      recording.begin();
      recording.close();
    }
  },
  /** The left half of a leaf that was split is written anew, and again. */
  SPLIT_AND_REWRITE(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.change(Step.SPLIT.change(base, 0));
      for (int i = 0; i < 20; i++) {
        recording.change(Base.inSplit(i));
      }
      recording.begin();
      recording.change(Step.OVERWRITE.change(base, 1));
    }
  },
  /** Keys come in order until a leaf is begun beside a full one. */
  ASCENDING(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      return ascending(
          this,
          setup,
          directory,
          prepare,
          (recording, count) -> {
            recording.begin();
            recording.change(ascending(count));
            recording.change(ascending(count + 1));
          });
    }
  },
  /** Keys go until what is left of two leaves becomes one. */
  MERGE(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      Preparation preparation = new Preparation(setup.mirrored(), beside(directory));
      int split = preparation.addUntil("pending row", Base::first);
      preparation.add(Base.first(split));
      int count = preparation.addUntil("merged leaf", Special::removed);
      return of(
          preparation,
          setup,
          directory,
          prepare,
          recording -> {
            recording.change(removed(count));
            recording.change(Change.put("k05", 1, 24));
            recording.change(Change.put("k35", 1, 24));
          });
    }
  },
  /** Two leaves have more than one can hold: it is filled, and the rest gets another one. */
  COMPACT_INTO_ONE_AND_A_REST(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      Preparation preparation = new Preparation(setup.mirrored(), beside(directory));
      int split = preparation.addUntil("pending row", Base::first);
      for (int i = split; i < split + 40; i++) {
        preparation.add(Change.put(String.format("l%02d", i - split), i, Base.LARGE));
      }
      return of(
          preparation,
          setup,
          directory,
          prepare,
          recording -> {
            recording.change(Step.COMPACT.change(base, 0));
            recording.change(Change.put("k05", 1, 24));
            recording.change(Change.put("l39", 1, 24));
          });
    }
  },
  /** The leaf table gets another chunk. */
  TABLE_GROWS(false) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      Preparation preparation = new Preparation(setup.mirrored(), beside(directory));
      int count = preparation.addUntil("table root", Special::withLongKey);
      return of(
          preparation,
          setup,
          directory,
          prepare,
          recording -> {
            recording.change(withLongKey(count));
            recording.change(withLongKey(count + 1));
          });
    }
  },
  /** The volume gets larger, twice. */
  VOLUME_GROWS(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      for (int i = 0; i < 3; i++) {
        recording.change(Change.put("k4" + i + "b", i, 600_000));
      }
      recording.begin();
      for (int i = 3; i < 6; i++) {
        recording.change(Change.put("k4" + i + "b", i, 600_000));
      }
    }
  },
  /** The only leg is away, and returns. */
  RETURN(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      for (Step step : List.of(Step.SPLIT, Step.REWRITE, Step.OVERWRITE)) {
        recording.change(step.change(base, 0));
      }
      int last = recording.store().devices().size() - 1;
      for (int leg = 0; leg <= last; leg++) {
        recording.leg(leg).faults().remove();
      }
      recording.beginBehindNext();
      recording.leg(last).faults().reinsert();
      recording.notWhole();
      await(() -> recording.store().health().state() != StoreState.FAILED);
    }
  },
  /** A leg was away, is copied to, and then is the only one. */
  RESILVER(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.notWhole();
      recording.leg(1).faults().remove();
      recording.change(Step.OVERWRITE.change(base, 0));
      recording.change(Step.GROW_TO_EXTENT.change(base, 1));
      recording.leg(1).faults().reinsert();
      await(() -> recording.store().health().state() == StoreState.ONLINE);
      recording.leg(0).faults().remove();
      recording.change(Step.PUT_NEW.change(base, 2));
      recording.begin();
      recording.change(Step.PUT_NEW.change(base, 3));
    }
  },
  /** A page is repaired, and then the leg that it was copied from is lost. */
  PAGE_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.notWhole();
      recording.leg(0).faults().poison(place(recording, "k10s"), 1);
      awaitGets(
          recording,
          "k10s",
          () ->
              recording.leg(0).badBlocks().isEmpty()
                  && recording.store().health().state() == StoreState.ONLINE);
      recording.leg(1).faults().remove();
      recording.change(Step.PUT_NEW.change(base, 0));
      recording.begin();
      recording.change(Step.PUT_NEW.change(base, 1));
    }
  },
  /** A record that a leg has wrong is repaired, and then the other leg is lost. */
  LEAF_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      repaired(recording, base, "k10s", place(recording, "k10s") + 36);
    }
  },
  /** As before, with a value in an extent of its own. */
  EXTENT_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      repaired(recording, base, "k31b", extent(recording, "k31b") + 100);
    }
  },
  /** A page is poisoned and repaired, and power is cut anywhere in that. */
  PAGE_REPAIR_CUT_OFF(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.notWhole();
      recording.begin();
      recording.leg(0).faults().poison(place(recording, "k10s"), 1);
      awaitGets(
          recording,
          "k10s",
          () ->
              recording.leg(0).badBlocks().isEmpty()
                  && recording.store().health().state() == StoreState.ONLINE);
      recording.change(Step.PUT_NEW.change(base, 0));
    }
  },
  /** Both copies that a leg has of the root of the leaf table are repaired by a scrub. */
  ROOT_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      scrubbed(recording, base, VolumeLayout.TABLE_ROOT_OFFSET + 5, ROOT_COPY + 5);
    }
  },
  /** As before, with a unit of a chunk that no row has: what is there may have been one. */
  CHUNK_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      long free = leafTable(recording) + CHUNK_COPY - UNIT;
      scrubbed(recording, base, free + 5, free + CHUNK_COPY + 5);
    }
  },
  /** As before, with the row of a leaf. */
  ROW_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      // That of the right leaf: nothing is written to it later.
      long row = leafTable(recording) + UNIT + 2 * UNIT;
      scrubbed(recording, base, row + KEY_OF_ROW, row + CHUNK_COPY + KEY_OF_ROW);
    }
  },
  /** As before, with the heads of the log. */
  LOG_REPAIR(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.change(Step.BATCH.change(base, 2));
      long last = VolumeLayout.LOG_TABLE_OFFSET + VolumeLayout.LOG_TABLE_SIZE - PAGE;
      scrubbed(recording, base, VolumeLayout.LOG_TABLE_OFFSET + 9, last + 9);
    }
  },
  /** A new leg is made and copied to, and power is cut anywhere in that. */
  ATTACH(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.notWhole();
      recording.change(Step.OVERWRITE.change(base, 0));
      recording.begin();
      recording.attach("leg-new.pmem");
      recording.change(Step.PUT_NEW.change(base, 1));
    }
  },
  /** A new leg is made and copied to, and then is the only one. */
  ATTACH_AND_LOSE_THE_REST(false) {
    @Override
    void run(Recording recording, Base base) {
      recording.open();
      recording.notWhole();
      int added = recording.attach("leg-new.pmem");
      for (int leg = 0; leg < added; leg++) {
        recording.leg(leg).faults().remove();
      }
      recording.change(Step.PUT_NEW.change(base, 0));
      recording.begin();
      recording.change(Step.PUT_NEW.change(base, 1));
    }
  },
  /**
   * A leg refuses a flush in the middle of a switch, and something is appended before that is tried
   * again.
   */
  REFUSED_SWITCH(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.notWhole();
      recording.open((step, _) -> {
        if (step == SwitchObserver.Step.READ_SWITCHED) {
          recording.change(Step.OVERWRITE.change(base, 0));
        }
      });
      recording.leg(1).faults().failFlush("switch");
      recording.change(Step.REWRITE.change(base, 1));
      recording.change(Step.PUT_NEW.change(base, 2));
    }
  },
  /** A leg refuses the flush of the row of a new leaf. */
  REFUSED_ROW(true) {
    @Override
    Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
      return ascending(
          this,
          setup,
          directory,
          prepare,
          (recording, count) -> {
            recording.notWhole();
            recording.leg(1).faults().failFlush("neighbour's row");
            recording.begin();
            recording.change(ascending(count));
            recording.change(ascending(count + 1));
          });
    }
  },
  /** A leg is lost, and the store closed. */
  CLOSE_WITH_ONE_LEG(true) {
    @Override
    void run(Recording recording, Base base) {
      recording.notWhole();
      recording.open();
      recording.leg(1).faults().remove();
      recording.change(Step.OVERWRITE.change(base, 0));
      recording.change(Step.SPLIT.change(base, 1));
      recording.begin();
      recording.close();
    }
  };

  /** Where a leg has the second copy of the root of the leaf table. */
  private static final long ROOT_COPY =
      VolumeLayout.TABLE_ROOT_OFFSET + VolumeLayout.TABLE_ROOT_SIZE / 2;

  /** How far behind the first copy of a chunk of the leaf table the second one lies. */
  private static final long CHUNK_COPY = 64 << 10;

  /** The head of a chunk has one of these, and a row with a short key two. */
  private static final long UNIT = 64;

  /** Where in a row that begins which never changes. */
  private static final long KEY_OF_ROW = 56;

  private static final long PAGE = 4 << 10;

  private final boolean mirroredOnly;

  Special(boolean mirroredOnly) {
    this.mirroredOnly = mirroredOnly;
  }

  boolean isFor(Setup setup) {
    return setup.mirrored() || !mirroredOnly;
  }

  /** Records it in an empty directory. */
  Story record(Setup setup, Base base, Path directory, Consumer<CrashRecorder> prepare) {
    base.copyTo(directory);
    return Recording.of(
        name(), setup, directory, base.contents(), prepare, recording -> run(recording, base));
  }

  void run(Recording recording, Base base) {
    throw new IllegalStateException(name() + ": has no script");
  }

  /** What is done to a store that was prepared, and opened. */
  Story of(
      Preparation preparation,
      Setup setup,
      Path directory,
      Consumer<CrashRecorder> prepare,
      Consumer<Recording> script) {
    preparation.make(directory);
    return Recording.of(
        name(),
        setup,
        directory,
        preparation.contents(),
        prepare,
        recording -> {
          recording.open();
          recording.begin();
          script.accept(recording);
        });
  }

  private static Path beside(Path directory) {
    return Objects.requireNonNull(directory.getParent(), "a directory inside another one");
  }

  /** What is done where the next key in order has a leaf begun beside a full one. */
  @FunctionalInterface
  private interface Ascent {
    void run(Recording recording, int count);
  }

  private static Story ascending(
      Special special,
      Setup setup,
      Path directory,
      Consumer<CrashRecorder> prepare,
      Ascent ascent) {
    Preparation preparation = new Preparation(setup.mirrored(), beside(directory));
    int count = preparation.addUntil("neighbour's row", Special::ascending);
    preparation.make(directory);
    return Recording.of(
        special.name(),
        setup,
        directory,
        preparation.contents(),
        prepare,
        recording -> {
          recording.open();
          ascent.run(recording, count);
        });
  }

  /** Of the keys of {@link Base#first} one after the other. */
  private static Change removed(int i) {
    return Change.remove(String.format("k%02d", i));
  }

  private static Change ascending(int i) {
    return Change.put(String.format("z%04d", i), i, 300);
  }

  private static Change withLongKey(int i) {
    return Change.put("x".repeat(3_990) + String.format("%03d", i * 37 % 1_000), i, 24);
  }

  private static void repaired(Recording recording, Base base, String key, long damaged) {
    recording.notWhole();
    byte[] was = new byte[1];
    recording.leg(0).read(damaged, was, 0, 1);
    recording.leg(0).faults().flipBit(damaged, 3);
    awaitGets(
        recording,
        key,
        () -> {
          byte[] now = new byte[1];
          recording.leg(0).read(damaged, now, 0, 1);
          return now[0] == was[0];
        });
    // The repair has ended when its next one can begin.
    recording.leg(1).faults().remove();
    recording.change(Step.PUT_NEW.change(base, 0));
    recording.begin();
    recording.change(Step.PUT_NEW.change(base, 1));
  }

  /** Has a scrub repair what the first leg has wrong, and then the other leg go. */
  private static void scrubbed(Recording recording, Base base, long... damaged) {
    recording.notWhole();
    for (long at : damaged) {
      recording.leg(0).faults().flipBit(at, 3);
    }
    ScrubReport report = recording.store().scrub();
    if (report.allFaults() != damaged.length || report.repaired() != damaged.length) {
      throw new IllegalStateException(damaged.length + " were damaged: " + report);
    }
    recording.leg(1).faults().remove();
    recording.change(Step.PUT_NEW.change(base, 0));
    recording.begin();
    recording.change(Step.PUT_NEW.change(base, 1));
  }

  private static long leafTable(Recording recording) {
    return recording.store().owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
        .filter(extent -> extent.what().equals("leaf table"))
        .mapToLong(StoreExtent::offset)
        .min()
        .orElseThrow();
  }

  private static void awaitGets(Recording recording, String key, BooleanSupplier condition) {
    await(() -> {
      recording.store().get(Contents.bytes(key));
      return condition.getAsBoolean();
    });
  }

  private static void await(BooleanSupplier condition) {
    Awaitility.await()
        .pollDelay(Duration.ZERO)
        .pollInterval(Duration.ofMillis(1))
        .atMost(Duration.ofSeconds(20))
        .until(condition::getAsBoolean);
  }

  private static List<StoreExtent> extents(Recording recording, String key) {
    return recording.store().owners(VolumeLayout.RECORDS_OFFSET, VolumeLayout.MAX_CAPACITY).stream()
        .filter(extent -> Arrays.equals(extent.key(), Contents.bytes(key)))
        .toList();
  }

  private static long place(Recording recording, String key) {
    return extents(recording, key).getFirst().offset();
  }

  /** Where a value lies that is in an extent: that is larger than its record. */
  private static long extent(Recording recording, String key) {
    return extents(recording, key).stream()
        .max((a, b) -> Long.compare(a.length(), b.length()))
        .orElseThrow()
        .offset();
  }
}
