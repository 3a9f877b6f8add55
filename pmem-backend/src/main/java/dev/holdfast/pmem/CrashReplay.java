package dev.holdfast.pmem;

import dev.holdfast.pmem.CrashEvent.FilePresence;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * Plays the events of a log and knows at each of them what is on the media and what is still on its
 * way. The rules are in {@link CrashLog}. <b>Threads:</b> one.
 */
final class CrashReplay {
  private final List<Path> directories;
  private final List<CrashEvent> events;
  private final List<Device> devices = new ArrayList<>();
  private final CrashEvent.SideFiles[] files;

  /** Which events are changes of files, ascending. */
  private final int[] fileChanges;

  private int point;

  CrashReplay(
      List<Path> directories,
      List<RecordedDevice> devices,
      List<CrashEvent.SideFiles> filesAtFirst,
      List<CrashEvent> events) {
    this.directories = directories;
    this.events = events;
    for (RecordedDevice device : devices) {
      this.devices.add(new Device(device));
    }
    this.files = filesAtFirst.toArray(new CrashEvent.SideFiles[0]);
    this.fileChanges =
        IntStream.range(0, events.size())
            .filter(i -> events.get(i) instanceof CrashEvent.SideFiles)
            .toArray();
  }

  int point() {
    return point;
  }

  /** Goes on to a point that is not behind this one. */
  void advanceTo(int target) {
    while (point < target) {
      apply(point, events.get(point));
      point++;
    }
  }

  private void apply(int number, CrashEvent event) {
    switch (event) {
      case CrashEvent.Store store ->
          devices.get(store.device()).store(number, store.offset(), store.bytes(), false);
      case CrashEvent.MediumWrite write ->
          devices.get(write.device()).store(number, write.offset(), write.bytes(), true);
      case CrashEvent.Flush flush -> devices.get(flush.device()).flush(flush);
      case CrashEvent.Fence fence -> devices.get(fence.device()).fence(fence.thread());
      case CrashEvent.Grown grown -> devices.get(grown.device()).grow(grown.capacity());
      case CrashEvent.Presence presence -> {
        devices.get(presence.device()).presence = presence.presence();
        if (presence.files() != null) {
          files[presence.files().directory()] = presence.files();
        }
      }
      case CrashEvent.SideFiles changed -> files[changed.directory()] = changed;
    }
  }

  /** What a power cut at this point could leave. */
  CrashState state() {
    long hash = 0;
    List<CrashState.DeviceState> states = new ArrayList<>();
    List<CrashState.Choice> choices = new ArrayList<>();
    for (Device device : devices) {
      states.add(new CrashState.DeviceState(device.recorded, device.presence, device.medium()));
      if (device.presence == FilePresence.ABSENT) {
        continue;
      }
      hash += device.hash();
      for (PendingLine line : device.pending.values()) {
        choices.add(new CrashState.Line(device.recorded.index, line.view()));
      }
    }
    for (CrashEvent.SideFiles now : files) {
      hash += now.hash();
    }
    // A change of files that had begun, with other events before its end, may be there already.
    Set<Integer> seen = new TreeSet<>();
    int found = Arrays.binarySearch(fileChanges, point);
    for (int c = found < 0 ? -found - 1 : found;
        c < fileChanges.length && seen.size() < files.length;
        c++) {
      int i = fileChanges[c];
      CrashEvent.SideFiles next = (CrashEvent.SideFiles) events.get(i);
      if (seen.add(next.directory()) && next.began() <= point && point < i) {
        choices.add(new CrashState.Files(next, next.hash() - files[next.directory()].hash()));
      }
    }
    return new CrashState(
        directories, point, List.copyOf(states), List.of(files), List.copyOf(choices), hash);
  }

  private static final class Device {
    private final RecordedDevice recorded;
    private final int granule;
    private final long seed;

    /** What is durable. */
    private final PagedImage medium;

    /** What loads see. */
    private final PagedImage volatileBytes;

    private final TreeMap<Integer, PendingLine> pending = new TreeMap<>();

    /** By thread: which pieces of which lines it has flushed and not fenced. */
    private final Map<Long, Map<PendingLine, Integer>> flushing = new HashMap<>();

    private FilePresence presence;
    private long mediumHash;

    private Device(RecordedDevice recorded) {
      this.recorded = recorded;
      this.granule = recorded.mode == null ? 0 : RecordedDevice.granule(recorded.mode);
      this.presence = recorded.atFirst;
      this.seed = StateHash.mix(StateHash.of(recorded.name()) + StateHash.mix(recorded.directory));
      // One thread at a time copies the base: CrashLog has the lock.
      this.medium = recorded.base.freeze();
      this.volatileBytes = recorded.base.freeze();
      this.mediumHash = medium.hash(seed);
    }

    private PagedImage medium() {
      return medium.freeze();
    }

    private long hash() {
      return mediumHash
          + StateHash.mix(seed ^ StateHash.mix(medium.size()))
          + (presence == FilePresence.REMOVED ? StateHash.mix(seed) : 0);
    }

    private void grow(long capacity) {
      medium.grow(DeviceLabel.SIZE + capacity);
      volatileBytes.grow(DeviceLabel.SIZE + capacity);
    }

    private void store(int event, long offset, byte[] bytes, boolean durable) {
      int begin = Math.toIntExact(DeviceLabel.SIZE + offset);
      int end = begin + bytes.length;
      for (int at = begin; at < end; ) {
        int atom = at & ~7;
        int n = Math.min(atom + Long.BYTES, end) - at;
        long value = 0;
        for (int i = 0; i < n; i++) {
          value |= (bytes[at - begin + i] & 0xffL) << (Byte.SIZE * i);
        }
        long before = volatileBytes.atom(atom);
        long after = PendingLine.merge(before, at - atom, n, value);
        volatileBytes.setAtom(atom, after);
        long change = StateHash.atom(seed, atom, after) - StateHash.atom(seed, atom, before);
        if (granule == 0) {
          medium.setAtom(atom, after);
          mediumHash += change;
        } else {
          PendingLine line = pending.computeIfAbsent(at / granule, PendingLine::new);
          line.append(event, at, n, value, change);
          if (durable) {
            commit(line, line.size());
          }
        }
        at += n;
      }
    }

    private void flush(CrashEvent.Flush flush) {
      if (flush.length() == 0 || granule == 0) {
        return;
      }
      int first = Math.toIntExact((DeviceLabel.SIZE + flush.offset()) / granule);
      int last =
          Math.toIntExact((DeviceLabel.SIZE + flush.offset() + flush.length() - 1) / granule);
      Map<PendingLine, Integer> marks =
          flushing.computeIfAbsent(flush.thread(), _ -> new IdentityHashMap<>());
      for (PendingLine line : pending.subMap(first, true, last, true).values()) {
        marks.merge(line, line.madeBefore(flush.began()), Math::max);
      }
    }

    private void fence(long thread) {
      Map<PendingLine, Integer> marks = flushing.remove(thread);
      if (marks != null) {
        marks.forEach(this::commit);
      }
    }

    private void commit(PendingLine line, int upTo) {
      mediumHash += line.commit(upTo, medium);
      if (line.isDurable()) {
        pending.remove(line.number, line);
      }
    }
  }
}
