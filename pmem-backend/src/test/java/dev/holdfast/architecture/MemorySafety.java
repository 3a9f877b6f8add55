package dev.holdfast.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.conditions.ArchConditions.have;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.codeUnits;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.lang.ArchRule;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.zip.Checksum;

/**
 * Device memory is touched by one class, and there by nothing that ends the process on a lost page.
 *
 * <p>Most rules hold for all classes but a list of names, which stands here and nowhere else. What
 * is done by reflection is not seen.
 */
public final class MemorySafety {
  private static final String GATEWAY = "dev.holdfast.pmem.Gateway";
  private static final String DRAM_REGION = "dev.holdfast.pmem.DramRegion";
  private static final String POSIX = "dev.holdfast.pmem.Posix";
  private static final String WINDOW = "dev.holdfast.pmem.Window";
  private static final String EMULATED_DEVICE = "dev.holdfast.pmem.EmulatedDevice";
  private static final String WINDOWS = "dev.holdfast.pmem.Windows";
  private static final String SYNC_ALIAS = "dev.holdfast.pmem.SyncAlias";

  private static final String VOLUME = "dev.holdfast.volume.Volume";

  /** What touches device memory. */
  private static final Set<String> GATEWAY_ACCESS =
      Set.of(
          "touch",
          "getLong",
          "getInt",
          "getByte",
          "putLong",
          "putLongRelease",
          "copyOut",
          "copyIn",
          "fill");

  /** What does it for others, who have the barrier. */
  private static final Set<String> VOLUME_RAW =
      Set.of("load", "loadLong", "store", "storeTo", "storeAround");

  private static final List<String> UNSAFE = List.of("sun.misc.Unsafe", "jdk.internal.misc.Unsafe");

  /** A segment over device memory could be made; only the gateway has one. */
  public static final ArchRule NO_REINTERPRET =
      noClasses()
          .that(areNoneOf(GATEWAY))
          .should()
          .accessTargetWhere(calls(MemorySegment.class.getName(), "reinterpret"))
          .because("a segment of any place and size reaches device memory around the gateway");

  /** As {@link #NO_REINTERPRET}, and nobody needs it. */
  public static final ArchRule NO_SEGMENT_FROM_ADDRESS =
      noClasses()
          .should()
          .accessTargetWhere(
              calls(MemorySegment.class.getName(), "ofAddress")
                  .or(calls(AddressLayout.class.getName(), "withTargetLayout")))
          .because("an address turned into a segment reaches device memory around the gateway");

  /** Raw memory by number. */
  public static final ArchRule NO_UNSAFE =
      noClasses()
          .should()
          .dependOnClassesThat(describe("are Unsafe", type -> UNSAFE.contains(type.getName())))
          .because("Unsafe reaches device memory around the gateway");

  /** Chronicle's way of reading at an address. */
  public static final ArchRule NO_POINTER_BYTES_STORE =
      noClasses()
          .should()
          .accessTargetWhere(calls("net.openhft.chronicle.bytes.PointerBytesStore", "set"))
          .because("a store over an address reaches device memory around the gateway");

  /**
   * Mapping a device is the device's business; a mapped buffer has no barrier. One class makes the
   * mapping whose cache lines {@code Gateway} writes back.
   */
  public static final ArchRule NO_MAPPED_FILES =
      noClasses()
          .that(areNoneOf(SYNC_ALIAS))
          .should()
          .accessTargetWhere(
              describe(
                  "map a file",
                  access ->
                      access.getTarget().getOwner().isAssignableTo(FileChannel.class)
                          && access.getTarget().getName().equals("map")))
          .orShould()
          .dependOnClassesThat()
          .areAssignableTo(MappedByteBuffer.class)
          .because("a mapping that no device knows of cannot be revoked");

  /** Native code that faults ends the process. */
  public static final ArchRule NO_NATIVE_CALLS =
      noClasses()
          .that(areNoneOf(POSIX))
          .should()
          .dependOnClassesThat()
          .areAssignableTo(Linker.class)
          .because("native code on a lost page ends the process; Posix makes the system calls");

  /** The address of a window is for those who know when it is valid. */
  public static final ArchRule NO_WINDOW_ADDRESS =
      noClasses()
          .that(areNoneOf(GATEWAY, EMULATED_DEVICE, WINDOWS, WINDOW))
          .should()
          .accessTargetWhere(calls(WINDOW, "address"))
          .because("an address outlives the check of its bounds");

  /** What the device layer hands out can be used without killing the process. */
  public static final ArchRule NO_SEGMENT_HANDED_OUT =
      noMethods()
          .that()
          .areDeclaredInClassesThat(resideInAPackage("dev.holdfast.pmem.."))
          .and()
          .arePublic()
          .should()
          .haveRawReturnType(MemorySegment.class)
          .because("a user's checksum or comparison of a lost page ends the process")
          .allowEmptyShould(true);

  /** Compare-and-set on memory, in the layer whose memory can be a device; DRAM never is. */
  public static final ArchRule NO_COMPARE_AND_SET_ON_SEGMENTS =
      noClasses()
          .that(resideInAPackage("dev.holdfast.pmem..").and(areNoneOf(DRAM_REGION)))
          .should()
          .accessTargetWhere(
              readModifyWrite().and(describe("on a segment", MemorySafety::isOnASegment)))
          .because("on a lost page it ends the process until it is compiled; locks live in DRAM")
          .allowEmptyShould(true);

  /** Compare-and-set by any handle, in the two classes that hold addresses. */
  public static final ArchRule NO_COMPARE_AND_SET_IN_GATEWAY =
      noClasses()
          .that(touchDeviceMemory())
          .should()
          .accessTargetWhere(readModifyWrite())
          .because("on a lost page it ends the process until it is compiled; locks live in DRAM")
          .allowEmptyShould(true);

  /** Checksums, in the two classes that hold addresses. */
  public static final ArchRule NO_CHECKSUM_IN_GATEWAY =
      noClasses()
          .that(touchDeviceMemory())
          .should()
          .dependOnClassesThat()
          .areAssignableTo(Checksum.class)
          .because("on a lost page it ends the process: copy out, barrier, then checksum")
          .allowEmptyShould(true);

  /**
   * Comparison and write-back of segments, in the layer whose memory can be a device; the gateway
   * writes back what its barrier just proved alive.
   */
  public static final ArchRule NO_MISMATCH_OR_FORCE =
      noClasses()
          .that(resideInAPackage("dev.holdfast.pmem..").and(areNoneOf(GATEWAY)))
          .should()
          .accessTargetWhere(
              calls(MemorySegment.class.getName(), "mismatch", "force", "asByteBuffer"))
          .because("on a lost page they end the process")
          .allowEmptyShould(true);

  /** Every address there is can be reached through it. */
  public static final ArchRule NO_SEGMENT_OVER_EVERYTHING =
      noClasses()
          .that(areNoneOf(GATEWAY, DRAM_REGION))
          .should()
          .accessTargetWhere(
              describe(
                  "use " + GATEWAY + ".ALL",
                  access ->
                      access.getTarget().getOwner().getSimpleName().equals("Gateway")
                          && access.getTarget().getName().equals("ALL")))
          .because("a segment over everything reaches device memory around the gateway");

  /**
   * An access means nothing until the barrier behind it came back, in the same method: one that is
   * called may return before HotSpot throws. The methods of {@code Volume} that are named load and
   * store for others, who have it.
   */
  public static final ArchRule BARRIER_BEHIND_EVERY_ACCESS =
      codeUnits()
          .that(
              describe(
                  "access device memory",
                  unit ->
                      !isRaw(unit)
                          && unit.getAccessesFromSelf().stream().anyMatch(MemorySafety::isAccess)))
          .should(
              have(
                  describe(
                      "a barrier in the same method",
                      unit ->
                          unit.getMethodCallsFromSelf().stream()
                              .anyMatch(call ->
                                  call.getTargetOwner().getName().equals(GATEWAY)
                                      && call.getName().equals("barrier")))))
          .because("an access to a lost page is skipped, and thrown for later");

  private MemorySafety() {}

  /** All rules of this class. */
  public static List<ArchRule> rules() {
    return List.of(
        NO_REINTERPRET,
        NO_SEGMENT_FROM_ADDRESS,
        NO_UNSAFE,
        NO_POINTER_BYTES_STORE,
        NO_MAPPED_FILES,
        NO_NATIVE_CALLS,
        NO_WINDOW_ADDRESS,
        NO_SEGMENT_HANDED_OUT,
        NO_COMPARE_AND_SET_ON_SEGMENTS,
        NO_COMPARE_AND_SET_IN_GATEWAY,
        NO_CHECKSUM_IN_GATEWAY,
        NO_MISMATCH_OR_FORCE,
        NO_SEGMENT_OVER_EVERYTHING,
        BARRIER_BEHIND_EVERY_ACCESS);
  }

  private static boolean isAccess(JavaAccess<?> access) {
    String owner = access.getTargetOwner().getName();
    return (owner.equals(GATEWAY) && GATEWAY_ACCESS.contains(access.getName()))
        || (owner.equals(VOLUME) && VOLUME_RAW.contains(access.getName()));
  }

  private static boolean isRaw(JavaCodeUnit unit) {
    String owner = unit.getOwner().getName();
    return owner.equals(GATEWAY) || (owner.equals(VOLUME) && VOLUME_RAW.contains(unit.getName()));
  }

  private static DescribedPredicate<JavaClass> areNoneOf(String... names) {
    Set<String> allowed = Set.of(names);
    return describe(
        "are not " + String.join(", ", names), type -> !allowed.contains(type.getName()));
  }

  /** By simple name in the whole layer, so that a move to a sub-package does not end the rules. */
  private static DescribedPredicate<JavaClass> touchDeviceMemory() {
    return resideInAPackage("dev.holdfast.pmem..")
        .and(
            describe(
                "are Gateway or Window",
                type -> {
                  String name = type.getName().substring(type.getPackageName().length() + 1);
                  return name.matches("(Gateway|Window)(\\$.*)?");
                }));
  }

  /** Calls, references and field accesses alike. */
  private static DescribedPredicate<JavaAccess<?>> calls(String owner, String... names) {
    List<String> forbidden = Arrays.asList(names);
    return describe(
        "use " + owner + "." + String.join("/", names),
        access ->
            access.getTarget().getOwner().getName().equals(owner)
                && forbidden.contains(access.getTarget().getName()));
  }

  private static DescribedPredicate<JavaAccess<?>> readModifyWrite() {
    return describe(
        "compare or change in one step",
        access ->
            access.getTarget().getOwner().isEquivalentTo(VarHandle.class)
                && access.getTarget().getName().matches("(compareAnd|weakCompareAnd|getAnd).*"));
  }

  private static boolean isOnASegment(JavaAccess<?> access) {
    return access.getTarget() instanceof AccessTarget.CodeUnitAccessTarget target
        && target.getRawParameterTypes().stream()
            .anyMatch(type -> type.isEquivalentTo(MemorySegment.class));
  }
}
