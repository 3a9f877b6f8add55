package dev.holdfast;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.holdfast.error.DeviceIoException;
import dev.holdfast.error.InvalidImageException;
import dev.holdfast.pmem.DurableFile;
import java.io.IOException;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Where the legs of a store lie, what is being done about them, and which places are spare: a small
 * file beside the witness, {@code legs}. Which device is a leg, and whether it holds everything, is
 * not its business: the superblocks say that. So it may be older than they are by a crash, and is
 * put right by the next open.
 *
 * <p>A store whose legs lie where they were made has none. It is text, a line for each thing:
 * {@code in} the directory, {@code leg} index and place, {@code making} a device that is no leg
 * yet, {@code replacing} the index of a leg and the place of the device that comes for it, {@code
 * spare} a place; at the end a checksum. Places inside the directory are relative to it, so that it
 * can be moved or copied as a whole. Others count only where the directory is the one that they
 * were written for: a copy of it must never open the devices of its original.
 *
 * <p><b>Threads:</b> any.
 */
final class LegRoster {
  private static final String MAGIC = "holdfast-legs 1";
  private static final int MOST_BYTES = 1 << 20;

  /**
   * A device that comes in the place of a leg.
   *
   * @param leg the index of the leg
   * @param by where the device lies
   * @param isSpare whether it is a spare, which goes back if the leg does
   */
  record Replacement(int leg, Path by, boolean isSpare) {}

  private final Path directory;
  private final Path file;
  private final TreeMap<Integer, Path> legs = new TreeMap<>();
  private final List<Replacement> replacements = new ArrayList<>();
  private volatile List<Path> spares = List.of();
  private @Nullable Path making;
  private boolean exists;

  private LegRoster(Path directory) {
    this.directory = directory.toAbsolutePath().normalize();
    this.file = directory.resolve("legs");
  }

  /** Of a store that has none, or will be written anew. */
  static LegRoster empty(Path directory) {
    return new LegRoster(directory);
  }

  /**
   * Reads it.
   *
   * @throws InvalidImageException if it is damaged; says what to do
   */
  static LegRoster read(Path directory) {
    LegRoster roster = new LegRoster(directory);
    if (!Files.exists(roster.file)) {
      return roster;
    }
    try {
      if (!Files.isRegularFile(roster.file) || Files.size(roster.file) > MOST_BYTES) {
        throw roster.damaged("expected a regular file of some lines, was something else");
      }
      roster.parse(new String(Files.readAllBytes(roster.file), UTF_8));
      roster.exists = true;
      return roster;
    } catch (IOException e) {
      throw new DeviceIoException(roster.file + ": cannot be read: " + e, e);
    }
  }

  private InvalidImageException damaged(String how) {
    return new InvalidImageException(
        file
            + ": "
            + how
            + "; say where the legs lie with StoreBuilder.legs(), and it is made anew");
  }

  private void parse(String text) {
    int end = text.lastIndexOf("crc ");
    if (!text.startsWith(MAGIC + "\n") || end < 0) {
      throw damaged("expected \"" + MAGIC + "\" and a checksum, was something else");
    }
    String crc = text.substring(end + "crc ".length()).trim();
    if (!crc.equals(crc(text.substring(0, end)))) {
      throw damaged("expected checksum " + crc(text.substring(0, end)) + ", was " + crc);
    }
    boolean isHome = false;
    for (String line : text.substring(0, end).split("\n", -1)) {
      String[] words = line.split(" ", -1);
      try {
        switch (words[0]) {
          case "in" -> isHome = decode(words[1]).equals(directory);
          case "leg" -> {
            int leg = Integer.parseInt(words[1]);
            place(words[2], isHome).ifPresent(place -> legs.put(leg, place));
          }
          case "making" -> making = place(words[1], isHome).orElse(null);
          case "replacing" -> {
            int leg = Integer.parseInt(words[1]);
            boolean isSpare = words[3].equals("spare");
            place(words[2], isHome)
                .ifPresent(by -> replacements.add(new Replacement(leg, by, isSpare)));
          }
          case "spare" -> place(words[1], isHome).ifPresent(this::addSpare);
          default -> {}
        }
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw damaged("expected a line of this version, was \"" + line + "\"");
      }
    }
  }

  private void addSpare(Path place) {
    List<Path> more = new ArrayList<>(spares);
    more.add(place);
    spares = List.copyOf(more);
  }

  private Optional<Path> place(String word, boolean isHome) {
    Path place = decode(word);
    return place.isAbsolute() && !isHome ? Optional.empty() : Optional.of(directory.resolve(place));
  }

  private static Path decode(String word) {
    return Path.of(URLDecoder.decode(word, UTF_8));
  }

  private static String encode(Path path) {
    return URLEncoder.encode(path.toString(), UTF_8);
  }

  private String placed(Path place) {
    Path absolute = absolute(place);
    return encode(absolute.startsWith(directory) ? directory.relativize(absolute) : absolute);
  }

  static Path absolute(Path place) {
    return place.toAbsolutePath().normalize();
  }

  private static String crc(String text) {
    CRC32C crc = new CRC32C();
    crc.update(text.getBytes(UTF_8));
    return Long.toHexString(crc.getValue());
  }

  private void write() {
    StringBuilder text = new StringBuilder(MAGIC + "\n");
    text.append("in ").append(encode(directory)).append('\n');
    for (Map.Entry<Integer, Path> leg : legs.entrySet()) {
      text.append("leg ").append(leg.getKey()).append(' ').append(placed(leg.getValue()));
      text.append('\n');
    }
    if (making != null) {
      text.append("making ").append(placed(making)).append('\n');
    }
    for (Replacement each : replacements) {
      text.append("replacing ").append(each.leg()).append(' ').append(placed(each.by()));
      text.append(each.isSpare() ? " spare\n" : " asked\n");
    }
    for (Path spare : spares) {
      text.append("spare ").append(placed(spare)).append('\n');
    }
    String crc = crc(text.toString());
    text.append("crc ").append(crc).append('\n');
    try {
      DurableFile.replace(file, text.toString().getBytes(UTF_8));
      exists = true;
    } catch (IOException e) {
      throw new DeviceIoException(file + ": cannot be written: " + e, e);
    }
  }

  /** Whether the store has one: then it says where all of the legs lie. */
  synchronized boolean exists() {
    return exists;
  }

  /** Where the legs lie, by index, and what is being made. */
  synchronized List<Path> places() {
    List<Path> places = new ArrayList<>(legs.values());
    if (making != null && !places.contains(making)) {
      places.add(making);
    }
    return places;
  }

  /** Where a leg lies, or lay. */
  synchronized Optional<Path> placeOf(int leg) {
    return Optional.ofNullable(legs.get(leg));
  }

  /** The device that was being made when the store was closed, or its process died. */
  synchronized Optional<Path> making() {
    return Optional.ofNullable(making);
  }

  synchronized List<Replacement> replacements() {
    return List.copyOf(replacements);
  }

  /** The places that are spare; never waits. */
  List<Path> spares() {
    return spares;
  }

  // ---------------------------------------------------------------- changes, durable on return

  /** Notes that a device is about to be made, and what for. */
  synchronized void make(Path place, @Nullable Replacement replacement) {
    making = absolute(place);
    if (replacement != null) {
      replacements.add(replacement);
    }
    write();
  }

  /** Notes that it is not made. */
  synchronized void unmake(Path place) {
    making = null;
    replacements.removeIf(each -> each.by().equals(absolute(place)));
    write();
  }

  /** Notes that the device is a leg. */
  synchronized void joined(int leg, Path place) {
    making = null;
    legs.put(leg, absolute(place));
    write();
  }

  /** Notes that a leg is none any more. */
  synchronized void left(int leg) {
    Path place = legs.remove(leg);
    replacements.removeIf(each -> each.leg() == leg || each.by().equals(place));
    write();
  }

  /** Notes which places are spare. */
  synchronized void spares(List<Path> places) {
    List<Path> next = places.stream().map(LegRoster::absolute).distinct().toList();
    if (!next.equals(spares)) {
      spares = next;
      write();
    }
  }

  /**
   * Takes up what an open found.
   *
   * @param found where the legs lie that are there, by index
   * @param away the indexes of those that are not
   * @param writes whether the file may be changed
   */
  synchronized void found(Map<Integer, Path> found, List<Integer> away, boolean writes) {
    TreeMap<Integer, Path> next = new TreeMap<>();
    found.forEach((leg, place) -> next.put(leg, absolute(place)));
    for (int leg : away) {
      Path place = legs.get(leg);
      if (place != null) {
        next.put(leg, place);
      }
    }
    boolean dropped =
        replacements.removeIf(
            each -> !next.containsKey(each.leg()) || !next.containsValue(each.by()));
    if (!next.equals(legs) || making != null || dropped) {
      legs.clear();
      legs.putAll(next);
      making = null;
      if (exists && writes) {
        write();
      }
    }
  }
}
