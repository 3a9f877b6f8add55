package dev.holdfast.policy;

/**
 * What a fault means, and so what the store does about it. The words are defined in
 * docs/failure-model.md.
 *
 * <p>Fencing a dead device, marking its leg stale and switching reads and writes to the survivors
 * do not wait for a verdict; a verdict says what follows. No verdict can therefore make a store
 * acknowledge what it did not write.
 */
public sealed interface Verdict {
  /**
   * Go on with the other legs: the leg stays marked stale, the store degrades, a spare is taken.
   */
  record FailOver() implements Verdict {}

  /** Read the other leg, rewrite the range in place and read it back. */
  record Repair() implements Verdict {}

  /**
   * Say exactly what was lost: reading it throws {@link dev.holdfast.error.DataLostException} until
   * it is written or removed. Everything else serves.
   */
  record NameLost() implements Verdict {}

  /**
   * Answer every operation that needs the volume with {@link
   * dev.holdfast.error.DeviceOfflineException} and acknowledge nothing, until the device returns.
   */
  record GoOffline() implements Verdict {}

  /**
   * Collect the whole impact first, then stop writes, once: they throw {@link
   * dev.holdfast.error.ReadOnlyStoreException}, reads go on.
   */
  record ReadOnly() implements Verdict {}

  /**
   * Stop reads and writes until the store is opened again. The standard policy never says it; it is
   * there for those who would rather have no answers than some.
   */
  record Fail() implements Verdict {}

  /** Flush the leg and take it out of use in order: the others hold everything. */
  record Evacuate() implements Verdict {}

  /**
   * Flush, and refuse the removal, as this is the last good copy. A removal that cannot be refused
   * comes back as {@link dev.holdfast.pmem.FaultKind#REMOVED}, with everything acknowledged
   * flushed.
   */
  record RefuseRemoval() implements Verdict {}

  /** Stop using the device or range. Nothing is lost: it held copies. */
  record Detach() implements Verdict {}

  /**
   * Stop acknowledging, settle what the log held into the data, begin a log elsewhere, go on. If
   * the data cannot take it or there is no place for a log, this ends as {@link ReadOnly}.
   */
  record RehomeLog() implements Verdict {}

  /** Copy to the leg what it missed, verify, and read it again: the other legs are the truth. */
  record Resilver() implements Verdict {}

  /** Take the device back as the truth, reconciled as after an unclean close, and serve again. */
  record Reconcile() implements Verdict {}

  /** Count it towards the soft errors of its leg, and do nothing else. */
  record Watch() implements Verdict {}

  /** Nothing to do. */
  record Ignore() implements Verdict {}
}
