package dev.holdfast;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.FaultKind;
import dev.holdfast.policy.FailurePolicy;
import dev.holdfast.policy.Subject;
import dev.holdfast.policy.Topology;
import dev.holdfast.policy.Verdict;
import dev.holdfast.policy.Verdicts;
import dev.holdfast.volume.VolumeNews;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Asks the policy, and has the standard one decide where that of a user throws, decides nothing,
 * takes too long or says what cannot be done; with news of it.
 *
 * <p>A policy of a user runs on a thread of its own, one at a time: while one that took too long is
 * still at it, no other is begun, and the standard one decides at once.
 *
 * <p><b>Threads:</b> any; each waits until the policy has decided for the one before.
 */
final class PolicyCourt {
  private static final System.Logger LOG = System.getLogger(PolicyCourt.class.getName());

  private final FailurePolicy policy;
  private final FailurePolicy standard = FailurePolicy.standard();
  private final boolean trusted;
  private final Duration deadline;
  private final VolumeNews news;
  private final ReentrantLock asking = new ReentrantLock();

  /** Whose time was over; one that has answered may be alive for a moment, and is not meant. */
  private @Nullable Thread undecided;

  PolicyCourt(FailurePolicy policy, Duration deadline, VolumeNews news) {
    this.policy = policy;
    this.trusted = policy.getClass() == standard.getClass();
    this.deadline = deadline;
    this.news = news;
  }

  /**
   * @param leg whose fault it is, for the news
   */
  Verdict decide(int leg, Topology topology, Subject subject, FaultKind kind) {
    if (trusted) {
      return policy.decide(topology, subject, kind);
    }
    asking.lock();
    try {
      return ask(leg, topology, subject, kind);
    } finally {
      asking.unlock();
    }
  }

  private Verdict ask(int leg, Topology topology, Subject subject, FaultKind kind) {
    Thread before = undecided;
    if (before != null && before.isAlive()) {
      return overruled(leg, topology, subject, kind, "has not decided on a fault before");
    }
    FutureTask<Verdict> decision = new FutureTask<>(() -> policy.decide(topology, subject, kind));
    Thread thread = Thread.ofPlatform().daemon().name("holdfast-policy").start(decision);
    String problem;
    try {
      Verdict verdict = decision.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
      if (verdict != null && Verdicts.isPossible(topology, subject, kind, verdict)) {
        return verdict;
      }
      problem = verdict == null ? "decided nothing" : "decided what cannot be done: " + verdict;
    } catch (TimeoutException e) {
      undecided = thread;
      problem = "did not decide within " + deadline.toMillis() + " ms";
    } catch (ExecutionException e) {
      problem = "failed: " + e.getCause();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      undecided = thread;
      problem = "was not waited for";
    } finally {
      decision.cancel(true);
    }
    return overruled(leg, topology, subject, kind, problem);
  }

  private Verdict overruled(
      int leg, Topology topology, Subject subject, FaultKind kind, String problem) {
    Verdict verdict = standard.decide(topology, subject, kind);
    String detail = "the policy " + problem + "; on " + kind + " the standard decides: " + verdict;
    LOG.log(Level.WARNING, detail);
    news.publish(HealthEvent.Kind.POLICY_OVERRULED, leg, 0, 0, detail, System.nanoTime());
    return verdict;
  }
}
