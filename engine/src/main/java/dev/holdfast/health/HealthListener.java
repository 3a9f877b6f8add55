package dev.holdfast.health;

/** Is told what happens to a store. */
@FunctionalInterface
public interface HealthListener {
  /**
   * <b>Threads:</b> one thread of the listener's own, so that a slow one delays nobody but itself;
   * what it has no time for is dropped and told as {@link HealthEvent.Kind#LOST}. <b>Failure:</b>
   * what it throws is logged.
   *
   * @param event what happened
   */
  void onEvent(HealthEvent event);
}
