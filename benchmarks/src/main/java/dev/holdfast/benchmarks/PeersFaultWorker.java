package dev.holdfast.benchmarks;

import dev.holdfast.benchmarks.contender.Access;
import dev.holdfast.benchmarks.contender.Bulk;
import dev.holdfast.benchmarks.contender.Contender;
import dev.holdfast.benchmarks.contender.ContenderSettings;
import dev.holdfast.benchmarks.contender.Entries;
import dev.holdfast.benchmarks.contender.FaultContender;
import dev.holdfast.benchmarks.contender.KeyKind;
import dev.holdfast.pmem.PersistenceMode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * The process that has a store open whose files are taken away; it may die of that. One thread
 * writes, one reads and checks, and what they find goes through a pipe to the process that judges.
 *
 * <p>Each message is {@link #MESSAGE} bytes: kind, id, version, start and duration in nanoseconds
 * of the clock that all processes share.
 */
final class PeersFaultWorker {
  /** The bytes of a message. */
  static final int MESSAGE = 1 + 4 + 4 + 8 + 8;

  /** Ready: everything is loaded, and the threads run. */
  static final byte READY = 'L';

  /** A write was acknowledged. */
  static final byte WRITTEN = 'W';

  /** A write threw; a text follows. */
  static final byte WRITE_FAILED = 'w';

  /** A read that took long. */
  static final byte SLOW_READ = 'r';

  /**
   * A read that was answered wrongly: with a version that cannot be, or not at all (version -1).
   */
  static final byte WRONG = 'X';

  /** A read threw; a text follows. */
  static final byte READ_FAILED = 'e';

  /** How far an operation is that has not come back when the threads are told to stop. */
  static final byte PENDING = 'P';

  /** The answer to {@code health}; a text follows. */
  static final byte HEALTH = 'H';

  /** The end of what was asked for; a text follows: empty, or what went wrong. */
  static final byte DONE = 'D';

  /** The version that an entry has, of a process that only looks; -1 none, -2 an error. */
  static final byte FOUND = 'V';

  private static final KeyKind KEYS = KeyKind.STRING;
  private static final long SLOW_NANOS = 1_000_000;
  private static final long JOIN_MILLIS = 4_000;
  private static final long REST_NANOS = 1_000_000;

  private final DataOutputStream out;
  private final int entries;
  private final AtomicIntegerArray issued;
  private final AtomicIntegerArray acknowledged;

  /** When the operation under way of the writer and of the reader began; 0 for none. */
  private final AtomicLongArray began = new AtomicLongArray(2);

  private volatile boolean stopping;

  private PeersFaultWorker(DataOutputStream out, int entries) {
    this.out = out;
    this.entries = entries;
    issued = new AtomicIntegerArray(entries);
    acknowledged = new AtomicIntegerArray(entries);
  }

  /**
   * Runs.
   *
   * @param arguments {@code load} or {@code look}; the peer; the store's directory; how many
   *     entries; PROCESS or FILE; the directories on the file systems
   */
  public static void main(String[] arguments) throws Exception {
    DataOutputStream out = new DataOutputStream(new FileOutputStream(FileDescriptor.out));
    System.setOut(System.err); // Peers print.
    FaultContender peer = FaultContender.valueOf(arguments[1]);
    int entries = Integer.parseInt(arguments[3]);
    boolean looks = arguments[0].equals("look");
    List<Path> places = new ArrayList<>();
    for (int i = 5; i < arguments.length; i++) {
      places.add(Path.of(arguments[i]));
    }
    ContenderSettings settings =
        new ContenderSettings(
            Path.of(arguments[2]), KEYS, entries, PersistenceMode.valueOf(arguments[4]), looks);
    PeersFaultWorker worker = new PeersFaultWorker(out, entries);
    try {
      Contender contender = peer.open(settings, places);
      if (looks) {
        worker.look(contender);
        worker.end(contender);
      } else {
        worker.run(contender);
      }
    } catch (Throwable t) { // The top frame: what it is, is the result.
      worker.send(DONE, 0, 0, 0, 0, "open: " + text(t));
    }
    Runtime.getRuntime().halt(0);
  }

  private void look(Contender contender) {
    Keys keys = new Keys();
    try (Access access = contender.access()) {
      for (int id = 0; id < entries; id++) {
        long version;
        try {
          version = keys.read(access, id);
        } catch (RuntimeException | Error e) {
          version = -2;
        }
        send(FOUND, id, (int) version, 0, 0, null);
      }
    }
  }

  private void run(Contender contender) throws IOException, InterruptedException {
    Keys keys = new Keys();
    try (Bulk bulk = contender.bulk(false)) {
      for (int id = 0; id < entries; id++) {
        keys.fill(id, 1);
        bulk.put(keys.key, 0, keys.value, 0);
        issued.set(id, 1);
        acknowledged.set(id, 1);
      }
    }
    Thread writer = Thread.ofPlatform().daemon().start(() -> write(contender));
    Thread reader = Thread.ofPlatform().daemon().start(() -> read(contender));
    send(READY, 0, 0, System.nanoTime(), 0, null);
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      if (line.equals("health")) {
        send(HEALTH, 0, 0, System.nanoTime(), 0, FaultContender.state(contender));
      } else if (line.equals("stop")) {
        stopping = true;
        writer.join(JOIN_MILLIS);
        reader.join(JOIN_MILLIS);
        long now = System.nanoTime();
        for (int i = 0; i < 2; i++) {
          long since = began.get(i);
          if (since != 0) {
            send(PENDING, i, 0, since, now - since, null);
          }
        }
        end(contender);
        return;
      }
    }
  }

  private void end(Contender contender) {
    try {
      contender.close();
      send(DONE, 0, 0, System.nanoTime(), 0, "");
    } catch (RuntimeException | Error e) {
      send(DONE, 0, 0, System.nanoTime(), 0, "close: " + text(e));
    }
  }

  private void write(Contender contender) {
    SplittableRandom random = new SplittableRandom(1);
    Keys keys = new Keys();
    try (Access access = contender.access()) {
      while (!stopping) {
        int id = random.nextInt(entries);
        int version = issued.incrementAndGet(id);
        keys.fill(id, version);
        long start = System.nanoTime();
        began.set(0, start);
        try {
          access.put(keys.key, 0, keys.value, 0);
          acknowledged.set(id, version);
          send(WRITTEN, id, version, start, System.nanoTime() - start, null);
        } catch (RuntimeException | Error e) {
          send(WRITE_FAILED, id, version, start, System.nanoTime() - start, text(e));
          LockSupport.parkNanos(REST_NANOS);
        } finally {
          began.set(0, 0);
        }
      }
    }
  }

  private void read(Contender contender) {
    SplittableRandom random = new SplittableRandom(2);
    Keys keys = new Keys();
    try (Access access = contender.access()) {
      while (!stopping) {
        int id = random.nextInt(entries);
        int least = acknowledged.get(id);
        long start = System.nanoTime();
        began.set(1, start);
        try {
          long version = keys.read(access, id);
          long nanos = System.nanoTime() - start;
          if (version < least || version > issued.get(id)) {
            send(WRONG, id, Math.clamp(version, -1, Integer.MAX_VALUE), start, nanos, null);
          } else if (nanos > SLOW_NANOS) {
            send(SLOW_READ, id, 0, start, nanos, null);
          }
        } catch (RuntimeException | Error e) {
          send(READ_FAILED, id, 0, start, System.nanoTime() - start, text(e));
          LockSupport.parkNanos(REST_NANOS);
        } finally {
          began.set(1, 0);
        }
      }
    }
  }

  private static String text(Throwable t) {
    String message = String.valueOf(t.getMessage());
    // Where the files of this run lie helps nobody.
    String line = message.lines().findFirst().orElse("").replaceAll("(/[^\\s/:]+)+/", "");
    return t.getClass().getSimpleName() + ": " + line.substring(0, Math.min(120, line.length()));
  }

  private synchronized void send(
      byte kind, int id, int version, long start, long nanos, @Nullable String text) {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream(MESSAGE);
      DataOutputStream message = new DataOutputStream(bytes);
      message.writeByte(kind);
      message.writeInt(id);
      message.writeInt(version);
      message.writeLong(start);
      message.writeLong(nanos);
      if (text != null) {
        message.writeUTF(text);
      }
      out.write(bytes.toByteArray());
    } catch (IOException e) {
      Runtime.getRuntime().halt(1); // Nobody judges any more.
      throw new UncheckedIOException(e);
    }
  }

  /** Whether a text follows a message. */
  static boolean hasText(byte kind) {
    return kind == WRITE_FAILED || kind == READ_FAILED || kind == HEALTH || kind == DONE;
  }

  /** One thread's key and value. */
  private static final class Keys {
    final byte[] key = new byte[KEYS.length()];
    final byte[] value = new byte[Entries.VALUE_LENGTH];

    private long tag(int id) {
      Entries.key(KEYS, id, key, 0);
      return Entries.tag(Entries.high(KEYS, key, 0), Entries.low(KEYS, key, 0));
    }

    void fill(int id, int version) {
      Entries.value(tag(id), version, value, 0);
    }

    /** The version of an entry; -1 if it is not there. */
    long read(Access access, int id) {
      long tag = tag(id);
      access.beginReads();
      try {
        long mark = access.get(key, 0);
        return mark == Entries.NONE ? -1 : Entries.version(tag, mark);
      } finally {
        access.endReads();
      }
    }
  }
}
