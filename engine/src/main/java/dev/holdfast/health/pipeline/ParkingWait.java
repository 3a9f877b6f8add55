package dev.holdfast.health.pipeline;

import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.TimeoutException;
import com.lmax.disruptor.WaitStrategy;
import java.util.function.LongPredicate;

/**
 * Parks the threads of the stages, whatever they wait for.
 *
 * <p>None of the library's strategies does: its blocking ones make producers take a lock, spin
 * while the stage before is busy (a responder can be so for seconds), and spin while a producer is
 * between claim and publication, which on a machine of two cores can be the very producer they keep
 * from running. And they throw {@link InterruptedException}, upon which {@link
 * com.lmax.disruptor.BatchEventProcessor} steps over an event that is not there yet.
 */
final class ParkingWait implements WaitStrategy {
  private final Doorbell first;
  private final Doorbell second;
  private LongPredicate published = sequence -> true;

  /**
   * @param first where the stage sleeps that waits for producers
   * @param second where the stage sleeps that waits for the other; whoever releases events to it or
   *     alerts it must wake it
   */
  ParkingWait(Doorbell first, Doorbell second) {
    this.first = first;
    this.second = second;
  }

  /**
   * Tells how to see whether a claimed sequence is published; called before any thread waits. The
   * cursor of a ring with several producers does not say it.
   */
  void lookAt(LongPredicate published) {
    this.published = published;
  }

  /**
   * @throws TimeoutException when the doorbell is due and no event is there
   */
  @Override
  public long waitFor(long sequence, Sequence cursor, Sequence dependent, SequenceBarrier barrier)
      throws AlertException, TimeoutException {
    boolean forProducers = dependent.equals(cursor);
    Doorbell doorbell = forProducers ? first : second;
    while (!isThere(sequence, dependent, forProducers)) {
      barrier.checkAlert();
      if (doorbell.isDue()) {
        throw TimeoutException.INSTANCE;
      }
      // An interrupt meant for a responder or left behind by it; with it set, nothing parks.
      Thread.interrupted();
      doorbell.sleepUnless(() -> isThere(sequence, dependent, forProducers) || barrier.isAlerted());
    }
    return dependent.get();
  }

  private boolean isThere(long sequence, Sequence dependent, boolean forProducers) {
    return dependent.get() >= sequence && (!forProducers || published.test(sequence));
  }

  /** Called by producers and by the alert of the first stage. */
  @Override
  public void signalAllWhenBlocking() {
    first.wake();
  }
}
