package dev.holdfast.pmem;

import java.nio.file.Path;

/**
 * The child process behind the control of {@link GatewayProofTest}: the same accesses as they would
 * be written by someone who trusts {@code try}, with no barrier.
 *
 * <p>Arguments: a directory, the number of operations to warm up with.
 */
final class NaiveAccess {
  private static final int DEAD_ACCESSES = 100;

  private NaiveAccess() {}

  public static void main(String[] args) {
    Path file = Path.of(args[0]).resolve("device");
    long warmUp = Long.parseLong(args[1]);
    try (EmulatedDevice device =
        EmulatedDevice.create(file, FaultInjector.pageSize(), PersistenceMode.PROCESS)) {
      Window window = device.map();
      Ledger ledger = new Ledger();
      for (long n = 0; n < warmUp; n++) {
        store(window, n, ledger);
      }
      if (ledger.acknowledged != warmUp) {
        throw new AssertionError("a store to a living page failed");
      }
      device.faults().remove();
      ledger.acknowledged = 0;
      int escaped = 0;
      for (int n = 0; n < DEAD_ACCESSES; n++) {
        try {
          store(window, n, ledger);
          Gateway.barrier();
        } catch (InternalError e) {
          escaped++;
        }
      }
      System.out.println("acknowledgedOnDead=" + ledger.acknowledged);
      System.out.println("refused=" + ledger.refused);
      System.out.println("escaped=" + escaped);
      window.close();
    }
  }

  /** What the outside world was told. */
  private static final class Ledger {
    private long acknowledged;
    private long refused;
  }

  private static void store(Window window, long word, Ledger ledger) {
    try {
      Gateway.putLong(window, 0, word);
      ledger.acknowledged++;
    } catch (InternalError e) {
      ledger.refused++;
    }
  }
}
