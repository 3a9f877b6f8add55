package dev.holdfast.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
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

  /** Mapping a device is the device's business; a mapped buffer has no barrier. */
  public static final ArchRule NO_MAPPED_FILES =
      noClasses()
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

  /** The address of a window is for those two that know when it is valid. */
  public static final ArchRule NO_WINDOW_ADDRESS =
      noClasses()
          .that(areNoneOf(GATEWAY, EMULATED_DEVICE, WINDOW))
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

  /** Comparison and write-back of segments, in the layer whose memory can be a device. */
  public static final ArchRule NO_MISMATCH_OR_FORCE =
      noClasses()
          .that(resideInAPackage("dev.holdfast.pmem.."))
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
        NO_SEGMENT_OVER_EVERYTHING);
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
