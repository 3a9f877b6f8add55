package dev.holdfast.benchmarks;

import java.util.List;

/** What JVMs that run peers are started with. */
final class PeerFlags {
  /**
   * Ours need none of these. Those for Chronicle are of its page "Chronicle Support for Java 17",
   * the opened buffers of lmdbjava's README; surefire has the same in the POM.
   */
  static final List<String> ALL =
      List.of(
          "--enable-native-access=ALL-UNNAMED",
          "--sun-misc-unsafe-memory-access=allow",
          "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
          "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
          "--add-exports=jdk.unsupported/sun.misc=ALL-UNNAMED",
          "--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED",
          "--add-opens=jdk.compiler/com.sun.tools.javac=ALL-UNNAMED",
          "--add-opens=java.base/java.lang=ALL-UNNAMED",
          "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
          "--add-opens=java.base/java.io=ALL-UNNAMED",
          "--add-opens=java.base/java.util=ALL-UNNAMED",
          "--add-opens=java.base/java.nio=ALL-UNNAMED",
          "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
          // Its checks of every call are for development (its README).
          "-Dlmdbjava.disable.checks=true",
          // Nobody reads the logs.
          "-Dslf4j.internal.verbosity=ERROR");

  private PeerFlags() {}
}
