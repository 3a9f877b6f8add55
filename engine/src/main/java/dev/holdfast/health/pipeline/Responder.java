package dev.holdfast.health.pipeline;

import dev.holdfast.pmem.FaultKind;

/**
 * Acts on news of faults: reverse map, policy, and whatever follows from them.
 *
 * <p><b>Threads:</b> the health thread of one {@link HealthPipeline} makes all calls, one at a
 * time. They may take their time; news queues up meanwhile. A call that is still running when the
 * pipeline closes is interrupted after a grace. <b>Failure:</b> what a call throws is logged, and
 * the pipeline goes on.
 */
public interface Responder {
  /** Called before all else: what takes time when it is done first can be done here. */
  default void prepare() {}

  /**
   * Acts on a fault that a device or an operation reported. Neighbouring reports of the same leg
   * and kind that waited together come as one call, later than every report it stands for.
   *
   * @param leg the leg as reported; nothing says that it exists
   * @param offset the first byte, ≥ 0; nothing says that the leg reaches so far
   * @param length the number of bytes, ≥ 0; {@code offset + length} does not overflow
   */
  void respond(int leg, FaultKind kind, long offset, long length);

  /**
   * Compares the durable truth with what is in force, and acts on the difference. It is called when
   * reports were lost, on request, and from time to time, so it must be idempotent.
   */
  void rescan();
}
