package dev.holdfast;

import dev.holdfast.health.ScrubFault;
import dev.holdfast.tree.ScrubContact;
import dev.holdfast.tree.Tree;
import dev.holdfast.volume.LegRange;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Takes down what a scrub finds, and has nothing follow from it.
 *
 * <p><b>Threads:</b> the one that scrubs.
 */
final class Verification implements ScrubContact {
  private final Tree tree;
  private final NamedMaps maps;
  private final List<VerifyReport.Finding> findings = new ArrayList<>();

  Verification(Tree tree, NamedMaps maps) {
    this.tree = tree;
    this.maps = maps;
  }

  List<VerifyReport.Finding> findings() {
    return findings;
  }

  @Override
  public void found(ScrubFault fault, boolean isOnNoLeg, LegRange where) {
    TreeSet<byte[]> keys = new TreeSet<>(Arrays::compareUnsigned);
    TreeMap<Integer, TreeSet<byte[]>> named = new TreeMap<>();
    tree.describe(
        where.offset(),
        where.length(),
        (_, _, map, key, _) ->
            (map == OpenStore.OWN
                    ? keys
                    : named.computeIfAbsent(map, _ -> new TreeSet<>(Arrays::compareUnsigned)))
                .add(key));
    List<VerifyReport.NamedKey> ofMaps = new ArrayList<>();
    named.forEach((map, of) -> {
      String name = maps.nameOf(map);
      for (byte[] key : of) {
        ofMaps.add(new VerifyReport.NamedKey(name == null ? "" : name, key));
      }
    });
    findings.add(
        new VerifyReport.Finding(
            where.leg(),
            where.offset(),
            where.length(),
            fault,
            isOnNoLeg,
            new ArrayList<>(keys),
            ofMaps));
  }

  @Override
  public void wrong(int leg, long offset, long length) {
    // It was found.
  }

  @Override
  public void wrongMetadata(
      int leg, long offset, long length, boolean hasCopy, BooleanSupplier repair) {
    // It was found.
  }

  @Override
  public void lost(int leg, long offset, long length) {
    // It was found.
  }

  @Override
  public boolean poisoned(int leg, long offset, long length) {
    return false;
  }

  @Override
  public boolean goesOn(byte @Nullable [] next) {
    return true;
  }
}
