package dev.holdfast.crash;

import dev.holdfast.Store;
import dev.holdfast.pmem.CrashLog;
import dev.holdfast.pmem.CrashRecorder;
import dev.holdfast.pmem.EmulatedDevice;
import dev.holdfast.volume.SwitchObserver;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Does things to a store in a directory that is recorded, and notes what a power cut may leave.
 *
 * <p><b>Threads:</b> one.
 */
final class Recording {
  /** What is done. */
  @FunctionalInterface
  interface Script {
    void run(Recording recording);
  }

  private final Setup setup;
  private final Path directory;
  private final CrashRecorder recorder;
  private final List<Contents> states = new ArrayList<>();
  private final List<Story.Mark> marks = new ArrayList<>();
  private @Nullable Store store;
  private @Nullable CrashLog log;
  private int from;
  private boolean whole = true;
  private boolean alone;

  private Recording(Setup setup, Path directory, CrashRecorder recorder, Contents contents) {
    this.setup = setup;
    this.directory = directory;
    this.recorder = recorder;
    this.states.add(contents);
  }

  /**
   * Records a script.
   *
   * @param directory where the store is, or will be; nobody has it open
   * @param contents what it holds
   * @param prepare what to tell the recorder first
   */
  static Story of(
      String name,
      Setup setup,
      Path directory,
      Contents contents,
      Consumer<CrashRecorder> prepare,
      Script script) {
    try (CrashRecorder recorder = CrashRecorder.start(directory)) {
      prepare.accept(recorder);
      Recording recording = new Recording(setup, directory, recorder, contents);
      try {
        script.run(recording);
        recording.end();
      } finally {
        recording.closeQuietly();
      }
      CrashLog log = Objects.requireNonNull(recording.log);
      return new Story(
          setup + " " + name,
          setup,
          log,
          recording.states,
          recording.marks,
          recording.from,
          log.points() - 1,
          recording.whole,
          recording.alone);
    }
  }

  /** Opens the store, which from here on may be used. */
  void open() {
    store = setup.open(directory);
  }

  /** Opens the store, and sees how it loses a leg. */
  void open(SwitchObserver observer) {
    store = setup.open(directory, observer);
  }

  Store store() {
    return Objects.requireNonNull(store, "store");
  }

  /**
   * Opens what a power cut left, which holds one of two contents: from the end of the opening on,
   * for good, the one that is found.
   */
  void openEither(Contents other, boolean lazily) {
    store = lazily ? setup.openLazily(directory) : setup.open(directory);
    int now = recorder.position();
    Contents found = Contents.of(store());
    if (states.getLast().differenceTo(found) == null) {
      states.addFirst(other);
    } else if (other.differenceTo(found) == null) {
      states.add(other);
    } else {
      throw new AssertionError("recovered: " + states.getLast().differenceTo(found));
    }
    marks.add(new Story.Mark(-1, now));
  }

  /** The points before this moment are of no interest. */
  void begin() {
    from = recorder.position();
  }

  /** The points up to what happens next are of no interest. */
  void beginBehindNext() {
    from = recorder.position() + 1;
  }

  /** Does something; what happens within it, from the same thread, comes before it. */
  void change(Change change) {
    int began = recorder.position();
    change.applyTo(store());
    marks.add(new Story.Mark(began, recorder.position()));
    states.add(states.getLast().with(change));
  }

  /** Makes one more leg, and returns its index once it holds everything. */
  int attach(String name) {
    return store().attach(directory.resolve(name));
  }

  EmulatedDevice leg(int index) {
    return (EmulatedDevice) store().devices().get(index);
  }

  /** From here on a leg may be missing. */
  void notWhole() {
    whole = false;
  }

  /** What is left of the second leg has to do without the first one. */
  void alone() {
    alone = true;
    whole = false;
  }

  /** Closes the store; that belongs to what is recorded. */
  void close() {
    store().close();
    store = null;
  }

  /** The points from this moment on are of no interest. */
  void end() {
    if (log == null) {
      log = recorder.log();
    }
  }

  private void closeQuietly() {
    if (store != null) {
      store.close();
    }
  }
}
