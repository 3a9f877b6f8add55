package dev.holdfast.crash;

import dev.holdfast.pmem.CrashImage;
import dev.holdfast.pmem.CrashPlace;
import dev.holdfast.pmem.CrashRecorder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A story that can be recorded as often as it is needed.
 *
 * @param name what it is, for people
 * @param recorder records it in an empty directory
 * @param limit about how many states are visited at a point
 */
record Plan(String name, Recorder recorder, int limit) {
  /** Records a story. */
  @FunctionalInterface
  interface Recorder {
    /** Records in an empty directory; {@code prepare} is what to tell the recorder first. */
    Story record(Path directory, Consumer<CrashRecorder> prepare);
  }

  /** A sequence of operations, of which the last one is of interest. */
  static Plan of(Setup setup, Base base, List<Step> steps) {
    return of(setup, base, steps, Integer.MAX_VALUE);
  }

  static Plan of(Setup setup, Base base, List<Step> steps, int limit) {
    return new Plan(
        setup + " " + steps,
        (directory, prepare) -> {
          base.copyTo(directory);
          return Recording.of(
              steps.toString(),
              setup,
              directory,
              base.contents(),
              prepare,
              recording -> {
                recording.open();
                for (int i = 0; i < steps.size(); i++) {
                  recording.begin();
                  recording.change(steps.get(i).change(base, i));
                }
              });
        },
        // It is many rewrites, each of which other sequences have on its own.
        steps.getLast() == Step.COMPACT ? Math.min(40, limit) : limit);
  }

  static Plan of(Setup setup, Base base, Special special, int limit) {
    return new Plan(
        setup + " " + special,
        (directory, prepare) -> special.record(setup, base, directory, prepare),
        limit);
  }

  /** What follows a power cut. */
  enum Then {
    /** The recovery itself is of interest. */
    RECOVER {
      @Override
      void run(Recording recording, Base base) {}
    },
    /** The recovery itself, at the end of which the leg is lost that it was made from. */
    RECOVER_ALONE {
      @Override
      void run(Recording recording, Base base) {
        recording.alone();
      }
    },
    /** A leg is lost, so that the other one has to have what was found. */
    LOSE_A_LEG {
      @Override
      void run(Recording recording, Base base) {
        recording.notWhole();
        recording.leg(0).faults().remove();
        for (String key : List.of("k15n", "k9001x", "k9399x", "z9999")) {
          recording.change(Change.put(key, 7, 24));
        }
        recording.change(Change.put("b", 7, 1_700));
        recording.begin();
        recording.change(Step.PUT_NEW.change(base, 6));
      }
    },
    /** The same, where leaves are made equal only when somebody comes to them. */
    LOSE_A_LEG_LATER {
      @Override
      boolean isLazy() {
        return true;
      }

      @Override
      void run(Recording recording, Base base) {
        LOSE_A_LEG.run(recording, base);
      }
    },
    /** The leaf is written anew, and so are those it was split into. */
    REWRITE {
      @Override
      void run(Recording recording, Base base) {
        for (int i = 0; i < 20; i++) {
          recording.change(Base.inSplit(i));
        }
        recording.change(Step.SPLIT.change(base, 7));
        recording.begin();
        recording.change(Step.PUT_NEW.change(base, 5));
      }
    };

    boolean isLazy() {
      return false;
    }

    abstract void run(Recording recording, Base base);
  }

  /**
   * Recoveries from a cut at every so many points.
   *
   * @param of what the power is cut in
   * @param scratch a directory to work in
   */
  static List<Plan> recoveries(Plan of, Base base, Then then, int every, int limit, Path scratch) {
    Story first;
    try (Scratch directory = Scratch.in(scratch)) {
      first = of.recorder.record(directory.path(), _ -> {});
    }
    List<Plan> plans = new ArrayList<>();
    for (int point = first.from(); point <= first.to(); point += every) {
      int cut = point;
      plans.add(
          new Plan(
              of.name + " cut at " + (point - first.from()) + ", " + then,
              (directory, prepare) -> recovery(first, cut, then, base, directory, prepare),
              limit));
    }
    return plans;
  }

  private static Story recovery(
      Story first, int cut, Then then, Base base, Path directory, Consumer<CrashRecorder> prepare) {
    try (CrashPlace place = CrashPlace.of(first.log(), directory)) {
      CrashImage image = first.log().images(cut, 2, 1).iterator().next();
      place.show(image);
    }
    int least = first.acknowledged(cut);
    int most = first.begun(cut);
    return Recording.of(
        "cut at " + (cut - first.from()) + " of " + first.name() + ", " + then,
        first.setup(),
        directory,
        first.states().get(least),
        prepare,
        recording -> {
          recording.openEither(first.states().get(most), then.isLazy());
          if (then != Then.RECOVER && then != Then.RECOVER_ALONE) {
            recording.begin();
          }
          then.run(recording, base);
        });
  }

  /**
   * Visits what it can leave.
   *
   * @throws AssertionError if something is not as it may be
   */
  Story check(
      Path scratch,
      Consumer<CrashRecorder> prepare,
      int sample,
      long seed,
      java.util.Set<Long> seen) {
    try (Scratch recorded = Scratch.in(scratch)) {
      Story story = recorder.record(recorded.path(), prepare);
      try (Enumeration enumeration = new Enumeration(story, recorded.path(), seen)) {
        enumeration.run(sample, limit, seed);
      }
      return story;
    } catch (RuntimeException e) {
      throw new AssertionError(name + ": " + e, e);
    }
  }
}
