package dev.holdfast.async;

import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.WaitStrategy;
import java.lang.invoke.VarHandle;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Parks the one thread that takes from a ring until what it waits for is published. Those of the
 * library that block have every producer take a lock, and all of them spin while a producer is
 * between claim and publication.
 */
final class ParkedWait implements WaitStrategy {
  private LongPredicate published = sequence -> true;
  private volatile @Nullable Thread sleeper;

  /** Tells how to see whether a claimed sequence is published; called before anybody waits. */
  void lookAt(LongPredicate published) {
    this.published = published;
  }

  @Override
  public long waitFor(long sequence, Sequence cursor, Sequence dependent, SequenceBarrier barrier)
      throws AlertException {
    while (!isThere(sequence, dependent)) {
      barrier.checkAlert();
      boolean _ = Thread.interrupted(); // With it set, nothing parks.
      sleeper = Thread.currentThread();
      // Pairs with the fence below: we see what was published, or its producer sees us.
      VarHandle.fullFence();
      if (!isThere(sequence, dependent) && !barrier.isAlerted()) {
        LockSupport.park(this);
      }
      sleeper = null;
    }
    return dependent.get();
  }

  private boolean isThere(long sequence, Sequence dependent) {
    return dependent.get() >= sequence && published.test(sequence);
  }

  @Override
  public void signalAllWhenBlocking() {
    VarHandle.fullFence();
    Thread thread = sleeper;
    if (thread != null) {
      LockSupport.unpark(thread);
    }
  }
}
