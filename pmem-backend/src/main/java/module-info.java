/**
 * Devices whose memory can be lost: persistent memory and its emulation, mapped, poisoned, pulled
 * out and put back. Users of a store meet it in four places:
 *
 * <ul>
 *   <li>{@link dev.holdfast.pmem.PersistenceMode} says how far an acknowledged write has come.
 *   <li>{@link dev.holdfast.error.HoldfastException} is the root of what a store throws.
 *   <li>{@link dev.holdfast.pmem.PmemDevice} is what a leg of a store lies on; {@link
 *       dev.holdfast.pmem.DaxMount#probe} tells what a place can do.
 *   <li>{@link dev.holdfast.pmem.FaultInjector} pulls out, poisons and silences an {@linkplain
 *       dev.holdfast.pmem.EmulatedDevice emulated device}, and {@link
 *       dev.holdfast.pmem.CrashRecorder} shows what a power cut can leave: for tests of programs
 *       that hold a store.
 * </ul>
 *
 * <p>The rest is for who builds on devices, as the store does: {@link dev.holdfast.pmem.Window},
 * and {@link dev.holdfast.pmem.Gateway}, the one way to the memory under it.
 */
module dev.holdfast.pmem {
  exports dev.holdfast.error;
  exports dev.holdfast.pmem;

  requires jdk.nio.mapmode;
  requires static transitive org.jspecify;
}
