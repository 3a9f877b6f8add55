package dev.holdfast.pmem;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What was done to the devices of a {@link CrashRecorder}, and from that every state that a power
 * cut in between can leave on their media.
 *
 * <p><b>The model</b>, by the mode a device was opened in:
 *
 * <ul>
 *   <li>{@code DAX}: memory is lines of 64 bytes made of atoms of 8. A store is a sequence of
 *       pieces in ascending order, none of which crosses the border of an atom; each piece is there
 *       or not. A piece is pending from the moment it is made, because its line can be evicted at
 *       any moment; a line carries the pieces made to it up to then, so what persists of a line is
 *       always the first n of its pending pieces. Lines are independent of each other. A flush
 *       marks what was pending, when it began, in all lines of its range; a fence <i>of the same
 *       thread on the same device</i> makes what that thread marked durable. Without the other,
 *       neither does anything.
 *   <li>{@code FILE}: the same with pages of 4 KiB in the place of lines. A page can be written
 *       back at any moment, with what it held at that moment; flush and fence of a range are a
 *       completed msync of it.
 *   <li>{@code PROCESS}: what is stored has survived.
 * </ul>
 *
 * <p>Devices are independent of each other and lose power together. A device that is created,
 * grown, removed or put back is so durably at once. What is written to the medium behind the cache
 * (clearing poison, injected damage) takes all earlier stores to its line with it. A small file
 * holds what it held when {@link DurableFile} last had a change of it durable, or what the change
 * then under way makes of it.
 *
 * <p><b>Where the model is kinder than hardware may be:</b> atoms do not tear, also where a copy of
 * bytes stores less than a word at a time; the pieces of one copy come in ascending order, although
 * a copy may be compiled otherwise; a page of a file is written whole, although a disk promises
 * that only for a sector.
 *
 * <p><b>Source:</b> Intel 64 and IA-32 Architectures Software Developer's Manual, CLWB ("ordered
 * only by store-fencing operations"), SFENCE, and volume 3, memory ordering (stores are not
 * reordered with other stores); Lantz, Dulloor, Kumar, Sankaran, Jackson, "Yat: A Validation
 * Framework for Persistent Memory Software", USENIX ATC 2014, for enumerating what may have reached
 * memory between fences; Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014
 * (ALICE), and Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box Crash Testing",
 * OSDI 2018 (CrashMonkey), for files; msync(2).
 *
 * <p><b>Threads:</b> any, one after the other; the images go anywhere. Points asked for in
 * ascending order cost one pass over the log together.
 */
public final class CrashLog {
  /** Up to so many ways to lose power, {@link #images} gives all of them. */
  public static final int EXHAUSTIVE = 4_096;

  private final List<Path> directories;
  private final List<RecordedDevice> devices;
  private final List<CrashEvent.SideFiles> filesAtFirst;
  private final List<CrashEvent> events;
  private final Map<String, Integer> flushSites;
  private final Map<String, Integer> fenceSites;
  private @Nullable CrashReplay replay;

  CrashLog(
      List<Path> directories,
      List<RecordedDevice> devices,
      List<CrashEvent.SideFiles> filesAtFirst,
      List<CrashEvent> events,
      Map<String, Integer> flushSites,
      Map<String, Integer> fenceSites) {
    this.directories = directories;
    this.devices = devices;
    this.filesAtFirst = filesAtFirst;
    this.events = events;
    this.flushSites = flushSites;
    this.fenceSites = fenceSites;
  }

  /** {@return the directories that were recorded, in the order they were given} */
  public List<Path> directories() {
    return directories;
  }

  /**
   * {@return how many points there are to lose power at: before the first event, and after each} At
   * point {@code p}, {@code p} events have happened.
   */
  public int points() {
    return events.size() + 1;
  }

  /**
   * {@return what happens next at a point}
   *
   * @param point the point, 0 to {@link #points} - 1
   */
  public String next(int point) {
    requirePoint(point);
    return point == events.size() ? "end" : events.get(point).toString();
  }

  /**
   * {@return the names of the flushes that came by, and how often, those that were suppressed
   * included}
   */
  public Map<String, Integer> flushSites() {
    return flushSites;
  }

  /**
   * {@return the names of the fences that came by, and how often, those that were suppressed
   * included}
   */
  public Map<String, Integer> fenceSites() {
    return fenceSites;
  }

  /**
   * In how many ways power can be lost at a point; different ways can leave equal bytes.
   *
   * @param point the point, 0 to {@link #points} - 1
   * @return at most {@link Long#MAX_VALUE}
   */
  public long ways(int point) {
    return state(point).ways();
  }

  /**
   * {@return the states that a power cut at a point can leave}
   *
   * <p>All of them if there are at most {@link #EXHAUSTIVE} ways to get there. Otherwise a sample,
   * which has in front the state in which nothing pending persisted and the one in which all of it
   * did, and then differs with the seed; a sample does not take the same way twice.
   *
   * @param point the point, 0 to {@link #points} - 1
   * @param sample how many states at most, where it is a sample; at least 2
   * @param seed equal seeds give equal samples
   */
  public Iterable<CrashImage> images(int point, int sample, long seed) {
    if (sample < 2) {
      throw new IllegalArgumentException("sample: expected at least 2, was " + sample);
    }
    CrashState state = state(point);
    return state.ways() <= EXHAUSTIVE
        ? () -> new All(state)
        : () -> new Sample(state, sample, StateHash.mix(seed + StateHash.mix(point)));
  }

  private void requirePoint(int point) {
    if (point < 0 || point > events.size()) {
      throw new IllegalArgumentException(
          "point: expected 0 to " + events.size() + ", was " + point);
    }
  }

  private synchronized CrashState state(int point) {
    requirePoint(point);
    CrashReplay at = replay;
    if (at == null || at.point() > point) {
      at = new CrashReplay(directories, devices, filesAtFirst, events);
      replay = at;
    }
    at.advanceTo(point);
    return at.state();
  }

  /** Counts through the choices like an odometer, from nothing to everything. */
  private static final class All implements Iterator<CrashImage> {
    private final CrashState state;
    private int @Nullable [] next;

    private All(CrashState state) {
      this.state = state;
      this.next = new int[state.choices().size()];
    }

    @Override
    public boolean hasNext() {
      return next != null;
    }

    @Override
    public CrashImage next() {
      int[] now = next;
      if (now == null) {
        throw new NoSuchElementException();
      }
      int[] then = now.clone();
      int i = 0;
      while (i < then.length && then[i] == state.choices().get(i).count()) {
        then[i++] = 0;
      }
      if (i < then.length) {
        then[i]++;
        next = then;
      } else {
        next = null;
      }
      return state.image(now);
    }
  }

  /** Nothing, everything, and then a mixture of what such bugs need. */
  private static final class Sample implements Iterator<CrashImage> {
    /** How often the same way may come up in a row before no other is looked for. */
    private static final int PATIENCE = 1_000;

    private final CrashState state;
    private final int size;
    private final Random random;

    /** Hashes of the ways taken: as good as the ways themselves. */
    private final Set<Long> taken = new HashSet<>();

    private int @Nullable [] next;

    private Sample(CrashState state, int size, long seed) {
      this.state = state;
      this.size = size;
      this.random = new Random(seed);
      this.next = new int[state.choices().size()];
      taken.add(hash(next));
    }

    @Override
    public boolean hasNext() {
      return next != null;
    }

    @Override
    public CrashImage next() {
      int[] now = next;
      if (now == null) {
        throw new NoSuchElementException();
      }
      next = another();
      return state.image(now);
    }

    private int @Nullable [] another() {
      if (taken.size() == size) {
        return null;
      }
      for (int i = 0; i < PATIENCE; i++) {
        int[] way = taken.size() == 1 ? everything() : draw();
        if (taken.add(hash(way))) {
          return way;
        }
      }
      return null;
    }

    private int[] everything() {
      return state.choices().stream().mapToInt(CrashState.Choice::count).toArray();
    }

    private int[] draw() {
      int n = state.choices().size();
      int[] all = everything();
      int[] way = new int[n];
      switch (random.nextInt(4)) {
        // One line came alone.
        case 0 -> {
          int one = random.nextInt(n);
          way[one] = 1 + random.nextInt(all[one]);
        }
        // One line did not come.
        case 1 -> {
          int one = random.nextInt(n);
          way = all;
          way[one] = random.nextInt(all[one]);
        }
        // Each line whole or not at all.
        case 2 -> {
          double share = random.nextDouble();
          for (int i = 0; i < n; i++) {
            way[i] = random.nextDouble() < share ? all[i] : 0;
          }
        }
        default -> {
          for (int i = 0; i < n; i++) {
            way[i] = random.nextInt(all[i] + 1);
          }
        }
      }
      return way;
    }

    private static long hash(int[] way) {
      long hash = 0;
      for (int i = 0; i < way.length; i++) {
        hash += StateHash.atom(0, i, way[i]);
      }
      return hash;
    }
  }
}
