package dev.holdfast.volume;

import static dev.holdfast.volume.LegMark.IN_SYNC;
import static dev.holdfast.volume.LegMark.NOT_IN_SYNC;
import static dev.holdfast.volume.LegMark.STALE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The rule of who may open, as a table. */
final class OpenRulesTest {
  private static final VolumeConfig.Summary CLOSED = new VolumeConfig.Summary(1, 2);

  /**
   * A leg is written as EPOCH/PREVIOUS/MARKS and {@code c} where it was closed in order; an epoch
   * is a counter and a letter that stands for its id. Behind {@code @} the sequence; else it is
   * that of the epoch, if each is the first of its epoch.
   */
  @ParameterizedTest(name = "{0} {1}, witness {2}, force {3}: {4}")
  @CsvSource({
    // both there
    "5a/4a/II , 5a/4a/II , 5a , n, open 01",
    "5a/4a/II , 5a/4a/II , -  , n, open 01",
    "6a/5a/II , 5a/4a/II , 5a , n, open 01", // a change that reached one leg
    "5a/4a/II , 6a/5a/II , 6a , n, open 01",
    "6a/5a/IS , 5a/4a/II , 6a , n, open 0 copy 1",
    "6a/5a/IS , 5a/4a/II , -  , n, open 0 copy 1",
    "9a/8a/IS , 5a/4a/II , 9a , n, open 0 copy 1",
    "6a/5a/IN , 6a/5a/IN , 6a , n, open 0 copy 1",
    "5a/4a/II@9, 5a/4a/II@8, 5a, n, open 01",
    "6a/5a/II@9, 5a/4a/II@8, 6a, n, open 01",
    // one is behind by more than what a crash can leave
    "5a/4a/II@9, 5a/4a/II@7, 5a, n, open 0 copy 1",
    "5a/4a/II@7, 5a/4a/II@9, 5a, n, open 1 copy 0",
    "5a/4a/IIc@9, 5a/4a/II@7, 5a, n, open 0 copy 1",
    "6a/5a/II@9, 5a/4a/II@7, 6a, n, open 0 copy 1",
    "6a/5a/II@9, 5a/4a/IIc@7, 6a, n, open 0 copy 1",
    "9a/8a/II , 5a/4a/II , 9a , n, open 0 copy 1",
    "5b/4b/II , 9a/8a/II , 9a , n, open 1 copy 0",
    "9a/8a/II , 5a/4a/SI , 9a , n, open 1 copy 0", // it was written alone
    "9a/8a/II , 8b/7b/II , 9a , n, refuse", // not what the other was before
    "6a/5a/II , 5b/4b/II , 6a , n, refuse",
    "6a/5a/II , 6b/5a/II , 6a , n, refuse",
    "6a/5a/II , 6b/5a/II , 6a , y, refuse",
    "6a/5a/IS , 6b/5a/SI , 6a , n, refuse", // each wrote without the other
    "7a/6a/IS , 6b/5a/SI , 7a , y, refuse",
    "6a/5a/II , 6b/5a/SI , 6b , n, open 1 copy 0", // a change that never ended, then alone
    "7a/6a/II , 6b/5a/SI , 6b , n, open 1 copy 0",
    // one was taken out for good
    "6a/5a/ID , 5a/4a/II , 6a , n, open 0 out 1",
    "9a/8a/ID , 5a/4a/II , 9a , n, open 0 out 1",
    "5a/4a/ID , 9a/8a/II , 5a , n, open 0 out 1", // a counter that ran on has nothing behind it
    "9a/8a/II , 5a/4a/DI , 5a , n, open 1 out 0",
    "6a/5a/ID , 6a/5a/ID , 6a , n, open 0 out 1", // and knows it
    "6a/5a/ID , -        , 6a , n, open 0", // nobody is missing
    "6a/5a/ID , -        , -  , n, open 0",
    "6a/5a/IDc, -        , -  , n, open 0",
    "6a/5a/ID , -        , 7a , n, open 0", // nobody is there who could know more
    "-        , 6a/5a/ID , 6a , y, refuse",
    "6a/5a/ID , 6b/5a/SI , 6a , n, refuse", // each wrote without the other
    "6a/5a/ID , 9b/8b/SI , 9b , y, refuse",
    // one missing
    "5a/4a/IS , -        , 5a , n, open 0", // its own records say so
    "5a/4a/IS , -        , -  , n, open 0",
    "5a/4a/IS , -        , 6b , n, refuse",
    "5a/4a/II , -        , 5a , n, open 0", // the witness says so
    "-        , 5a/4a/II , 5a , n, open 1",
    "5a/4a/II , -        , 4a , n, open 0", // written before the witness
    "5a/4a/II , -        , 6a , n, refuse",
    "5a/4a/II , -        , 5b , n, refuse",
    "5a/4a/II , -        , 3a , n, refuse",
    "5a/4a/II , -        , -  , n, refuse",
    "5a/4a/II , -        , 6a , y, open 0",
    "5a/4a/II , -        , -  , y, open 0",
    "5a/4a/IIc, -        , 5a , n, open 0", // closed in order, all in sync
    "5a/4a/IIc, -        , -  , n, open 0",
    "5a/4a/IIc, -        , 6a , n, refuse",
    "-        , 5a/4a/IIc, 7b , n, refuse",
    "-        , 5a/4a/IN , 5a , n, refuse", // half copied, alone
    "-        , 5a/4a/IN , 5a , y, refuse",
    "-        , 5a/4a/IN , -  , y, refuse",
    "5a/4a/IN , -        , 5a , n, open 0",
    "-        , 5a/4a/II , 6a , n, refuse", // stale, and does not know it
  })
  void decides(String first, String second, String witness, String force, String expected) {
    OpenRules.Decision decision =
        OpenRules.decide(
            Arrays.asList(config(first), config(second)), witness(witness), force.equals("y"));
    String actual =
        switch (decision) {
          case OpenRules.Decision.Refuse _ -> "refuse";
          case OpenRules.Decision.Open open ->
              "open "
                  + digits(open.inSync())
                  + (open.stale().isEmpty() ? "" : " copy ")
                  + digits(open.stale())
                  + (open.outside().isEmpty() ? "" : " out ")
                  + digits(open.outside());
        };
    assertEquals(expected, actual);
  }

  @Test
  void witnessOfAnotherStoreVetoes() {
    Witness other = new Witness(new java.util.UUID(9, 9), Configs.mirror().epoch(), Configs.SECRET);
    assertInstanceOf(
        OpenRules.Decision.Refuse.class,
        OpenRules.decide(Arrays.asList(Configs.mirror(), null), Optional.of(other), false));
  }

  @Test
  void newerSequenceOfOneEpochIsTheTruth() {
    VolumeConfig newer = Configs.mirror().withSequence(8).withCapacity(4 << 20);
    OpenRules.Decision decision =
        OpenRules.decide(Arrays.asList(Configs.mirror(), newer), Optional.empty(), false);
    assertEquals(newer, assertInstanceOf(OpenRules.Decision.Open.class, decision).config());
  }

  /** A store that was closed in order was whole though a place was empty. */
  @Test
  void anEmptyPlaceDoesNotKeepTheOthersFromOpeningAlone() {
    VolumeConfig closed =
        Configs.of(5, 'a', 4, 'a', IN_SYNC, LegMark.DETACHED, CLOSED)
            .withNewLeg(2, new UUID(8, 2))
            .withMark(2, IN_SYNC);
    OpenRules.Decision decision =
        OpenRules.decide(Arrays.asList(closed, null, null), Optional.empty(), false);
    assertEquals(List.of(0), assertInstanceOf(OpenRules.Decision.Open.class, decision).inSync());
  }

  /** Who takes the place of another leg makes it none, unless that one was written alone. */
  @Test
  void aDeviceIsALegIfThoseWhoKnowMoreHaveItThere() {
    VolumeConfig before = Configs.mirror();
    UUID own = before.devices().get(1);
    VolumeConfig after =
        before
            .withEpoch(new Epoch(6, 60))
            .withDetached(1)
            .withEpoch(new Epoch(7, 70))
            .withNewLeg(1, new UUID(8, 9));
    List<Superblock> others = List.of(new Superblock(0, after));
    assertTrue(OpenRules.wasTakenOut(new Superblock(1, before), own, others));
    assertFalse(OpenRules.wasTakenOut(new Superblock(1, after), new UUID(8, 9), others));
    // The other one is older, or does not hold everything, or both were written alone.
    List<Superblock> older = List.of(new Superblock(0, after.withEpoch(new Epoch(5, 1))));
    assertFalse(OpenRules.wasTakenOut(new Superblock(1, before), own, older));
    List<Superblock> half = List.of(new Superblock(0, after.withMark(0, NOT_IN_SYNC)));
    assertFalse(OpenRules.wasTakenOut(new Superblock(1, before), own, half));
    VolumeConfig alone = before.withMark(0, STALE);
    assertFalse(OpenRules.wasTakenOut(new Superblock(1, alone), own, others));
    VolumeConfig told = before.withDetached(1);
    assertTrue(OpenRules.wasTakenOut(new Superblock(1, told), own, List.of()));
    VolumeConfig third = after.withNewLeg(2, new UUID(8, 10));
    assertFalse(
        OpenRules.wasTakenOut(
            new Superblock(2, third), new UUID(8, 10), List.of(new Superblock(0, third))));
    assertEquals(LegMark.DETACHED, after.markOf(2));
    assertEquals(2, after.freePlace());
    assertEquals(0, after.withDetached(0).freePlace());
  }

  private static String digits(List<Integer> legs) {
    StringBuilder text = new StringBuilder();
    legs.forEach(text::append);
    return text.toString();
  }

  private static @Nullable VolumeConfig config(String text) {
    if (text.equals("-")) {
      return null;
    }
    String[] numbered = text.split("@", -1);
    String[] parts = numbered[0].split("/", -1);
    Epoch epoch = epoch(parts[0]);
    Epoch previous = epoch(parts[1]);
    return Configs.of(
            epoch.counter(),
            epoch.id(),
            previous.counter(),
            previous.id(),
            mark(parts[2].charAt(0)),
            mark(parts[2].charAt(1)),
            parts[2].endsWith("c") ? CLOSED : null)
        .withSequence(numbered.length > 1 ? Long.parseLong(numbered[1]) : epoch.counter());
  }

  private static Epoch epoch(String text) {
    return new Epoch(text.charAt(0) - '0', text.charAt(1));
  }

  private static Optional<Witness> witness(String text) {
    return text.equals("-")
        ? Optional.empty()
        : Optional.of(new Witness(Configs.STORE, epoch(text), Configs.SECRET));
  }

  private static LegMark mark(char letter) {
    return switch (letter) {
      case 'I' -> IN_SYNC;
      case 'S' -> STALE;
      case 'D' -> LegMark.DETACHED;
      default -> NOT_IN_SYNC;
    };
  }
}
