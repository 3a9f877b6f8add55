package dev.holdfast;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.error.RemovalRefusedException;
import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.LegState;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.policy.Verdict;
import dev.holdfast.volume.Leg;
import dev.holdfast.volume.Volume;
import dev.holdfast.volume.VolumeNews;
import java.lang.System.Logger.Level;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Answers devices that ask whether they may be removed. One whose leg another one covers is let go
 * of: no operation fails by that, and none touches it any more when the answer is given. The last
 * good copy is kept, whatever the policy says; so is what the policy keeps.
 *
 * <p>That another leg covers it and that this one goes is one step, under the lock of the volume:
 * of two that ask at once, or where the other leg is lost while this one asks, one is kept.
 *
 * <p><b>Threads:</b> those of devices, several at once, with no lock held.
 */
final class OrderlyRemovals {
  private static final System.Logger LOG = System.getLogger(OrderlyRemovals.class.getName());

  private final Volume volume;
  private final boolean holdsCopies;
  private final IntFunction<Verdict> policy;
  private final VolumeNews news;

  /**
   * @param holdsCopies whether all that is there lies elsewhere, too
   * @param policy what the policy says of the removal of a leg, by its index
   */
  OrderlyRemovals(
      Volume volume, boolean holdsCopies, IntFunction<Verdict> policy, VolumeNews news) {
    this.volume = volume;
    this.holdsCopies = holdsCopies;
    this.policy = policy;
    this.news = news;
  }

  /** Lets go of a device, or says why it is needed. */
  @Nullable RemovalRefusedException ask(PmemDevice device) {
    for (Leg leg : volume.allLegs()) {
      if (leg.device().equals(device) && volume.isUsed(leg)) {
        return ask(leg);
      }
    }
    return null; // Nobody uses it.
  }

  private @Nullable RemovalRefusedException ask(Leg leg) {
    int index = leg.index();
    Verdict verdict = policy.apply(index);
    if (holdsCopies && verdict instanceof Verdict.Detach) {
      // Nobody misses what is on it: who asks for a copy reads the value.
      volume.fail(new DeviceOfflineException("the device of the CACHE is about to be removed"));
      awaitOperations(leg);
      return null;
    }
    boolean kept = verdict instanceof Verdict.RefuseRemoval;
    if (kept && volume.holdsEverythingWithout(index)) {
      return refuse(leg, "the policy to let it go, which keeps it; take the leg offline first");
    }
    if (kept || !volume.leave(index, "its device is about to be removed")) {
      return refuse(
          leg,
          "another leg that holds everything, is the last copy of something"
              + others(index)
              + "; bring another leg back or attach one, and wait until it is ONLINE");
    }
    awaitOperations(leg);
    if (volume.legs().readers() == 0) {
      // It lacks what was written since it left: little, and nobody else has the rest.
      return refuse(
          leg,
          "another leg that holds everything, was lost meanwhile"
              + others(index)
              + "; put that device back first");
    }
    return null;
  }

  private void awaitOperations(Leg leg) {
    if (!volume.grace().await(OpenStore.GRACE_NANOS)) {
      LOG.log(Level.WARNING, "operations still use " + leg.device().name() + ", which is removed");
    }
  }

  private String others(int index) {
    StringBuilder text = new StringBuilder();
    for (Leg leg : volume.allLegs()) {
      if (leg.index() != index && leg.state() != LegState.DETACHED) {
        text.append(", leg ").append(leg.index()).append(" is ").append(leg.state());
      }
    }
    return text.toString();
  }

  private RemovalRefusedException refuse(Leg leg, String why) {
    String message =
        "leg " + leg.index() + " (" + leg.device().name() + "): removal refused: expected " + why;
    LOG.log(Level.WARNING, message);
    news.publish(HealthEvent.Kind.REMOVAL_REFUSED, leg.index(), 0, 0, message, System.nanoTime());
    return new RemovalRefusedException(message, null);
  }
}
