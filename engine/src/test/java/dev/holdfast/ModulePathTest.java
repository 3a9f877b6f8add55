package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.github.benmanes.caffeine.cache.Cache;
import com.lmax.disruptor.RingBuffer;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.proof.ProofJvm;
import io.micrometer.common.KeyValue;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.observation.Observation;
import java.io.File;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleDescriptor.Exports;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.core.Jvm;
import org.HdrHistogram.Histogram;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.Logger;

/** The modules, in JVMs and by a compiler that have nothing of ours on the class path. */
class ModulePathTest {
  /** Without which nothing of the store works. */
  private static final List<Class<?>> NEEDED =
      List.of(Store.class, PmemDevice.class, RingBuffer.class, Cache.class);

  /** For the faces of Micrometer and of Chronicle. */
  private static final List<Class<?>> OPTIONAL =
      List.of(
          MeterRegistry.class,
          KeyValue.class,
          Observation.class,
          Histogram.class,
          Bytes.class,
          Jvm.class,
          Logger.class);

  @TempDir Path directory;

  @BeforeEach
  void mavenBuiltTheModules() {
    assumeTrue(
        ModuleFinder.of(place(Store.class)).find("dev.holdfast").isPresent(),
        "compiled without its module-info");
  }

  @Test
  void storeServesThroughTheLossOfADeviceWithNoOptionalLibrary() throws Exception {
    Path user =
        compiled(
            NEEDED,
            """
            module holdfast.user {
              requires dev.holdfast;
              requires jdk.jfr;
            }
            """,
            """
            package holdfast.user;

            import dev.holdfast.Store;
            import dev.holdfast.health.StoreState;
            import dev.holdfast.pmem.EmulatedDevice;
            import java.nio.charset.StandardCharsets;
            import java.nio.file.Path;
            import java.util.Arrays;
            import jdk.jfr.Recording;
            import jdk.jfr.consumer.RecordingFile;

            public final class Main {
              private static final byte[] KEY = "key".getBytes(StandardCharsets.UTF_8);

              public static void main(String[] arguments) throws Exception {
                Path directory = Path.of(arguments[0]);
                Path recorded = directory.resolve("recorded.jfr");
                try (Recording recording = new Recording()) {
                  recording.enable("dev.holdfast.HealthNotice");
                  recording.enable("dev.holdfast.LegLost");
                  recording.start();
                  try (Store store = Store.open(directory.resolve("store"))) {
                    store.put(KEY, KEY);
                    say("before", Arrays.equals(KEY, store.get(KEY)));
                    ((EmulatedDevice) store.devices().get(0)).faults().remove();
                    say("behind", Arrays.equals(KEY, store.get(KEY)));
                    say("degraded", store.health().state() == StoreState.DEGRADED);
                  }
                  recording.dump(recorded);
                }
                try (RecordingFile file = new RecordingFile(recorded)) {
                  boolean notice = false;
                  boolean lost = false;
                  while (file.hasMoreEvents()) {
                    String name = file.readEvent().getEventType().getName();
                    notice |= name.equals("dev.holdfast.HealthNotice");
                    lost |= name.equals("dev.holdfast.LegLost");
                  }
                  say("noticeRecorded", notice);
                  say("lossRecorded", lost);
                }
                say("named", Store.class.getModule().getName().equals("dev.holdfast"));
                Class<?> internal = Class.forName("dev.holdfast.tree.Keys");
                try {
                  internal.getMethod("printable", byte[].class).invoke(null, KEY);
                  say("internalReached", true);
                } catch (IllegalAccessException e) {
                  say("internalReached", false);
                }
              }

              private static void say(String name, boolean is) {
                System.out.println(name + "=" + (is ? 1 : 0));
              }
            }
            """);
    ProofJvm child = run(NEEDED, user);
    assertAll(
        child.output(),
        () -> assertEquals(0, child.exitCode()),
        () -> assertEquals(1, child.count("named")),
        () -> assertEquals(1, child.count("before")),
        () -> assertEquals(1, child.count("behind")),
        () -> assertEquals(1, child.count("degraded")),
        () -> assertEquals(1, child.count("noticeRecorded")),
        () -> assertEquals(1, child.count("lossRecorded")),
        () -> assertEquals(0, child.count("internalReached")));
  }

  @Test
  void metersAndChronicleWorkWhereTheyAreRequired() throws Exception {
    List<Class<?>> libraries = new ArrayList<>(NEEDED);
    libraries.addAll(OPTIONAL);
    Path user =
        compiled(
            libraries,
            """
            module holdfast.user {
              requires dev.holdfast;
              requires chronicle.bytes;
              requires jdk.unsupported;
              requires org.slf4j;
              requires micrometer.core;
            }
            """,
            """
            package holdfast.user;

            import dev.holdfast.Store;
            import dev.holdfast.codec.chronicle.BytesView;
            import dev.holdfast.metrics.StoreMetrics;
            import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
            import java.nio.file.Path;
            import net.openhft.chronicle.bytes.Bytes;

            public final class Main {
              public static void main(String[] arguments) {
                SimpleMeterRegistry registry = new SimpleMeterRegistry();
                try (Store store = Store.open(Path.of(arguments[0]).resolve("store"));
                    StoreMetrics metrics = new StoreMetrics(store, "user")) {
                  metrics.bindTo(registry);
                  BytesView view = BytesView.of(store);
                  view.put(Bytes.from("key"), Bytes.from("value"));
                  Bytes<?> value = Bytes.allocateElasticOnHeap();
                  say("found", view.get(Bytes.from("key"), value));
                  say("same", value.toString().equals("value"));
                  say("entries", registry.get("holdfast.entries").gauge().value() == 1);
                }
              }

              private static void say(String name, boolean is) {
                System.out.println(name + "=" + (is ? 1 : 0));
              }
            }
            """);
    ProofJvm child = run(libraries, user);
    assertAll(
        child.output(),
        () -> assertEquals(0, child.exitCode()),
        () -> assertEquals(1, child.count("found")),
        () -> assertEquals(1, child.count("same")),
        () -> assertEquals(1, child.count("entries")));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "dev.holdfast.async.WriteRing",
        "dev.holdfast.health.pipeline.HealthPipeline",
        "dev.holdfast.rmap.ReverseMap",
        "dev.holdfast.tree.Tree",
        "dev.holdfast.volume.Volume"
      })
  void whatIsNotExportedCannotBeNamed(String internal) throws Exception {
    StringWriter said = new StringWriter();
    boolean compiled =
        compiles(
            NEEDED,
            directory.resolve("user"),
            said,
            "module holdfast.user { requires dev.holdfast; }",
            "package holdfast.user; interface Main { %s internal(); }".formatted(internal));
    assertTrue(
        !compiled && said.toString().contains("module dev.holdfast, which does not export it"),
        said::toString);
  }

  /** One more here is one more promise to users. */
  @Test
  void theApiIsExportedAndNothingElse() {
    assertEquals(
        new TreeSet<>(
            Set.of(
                "dev.holdfast",
                "dev.holdfast.codec",
                "dev.holdfast.codec.chronicle",
                "dev.holdfast.health",
                "dev.holdfast.metrics",
                "dev.holdfast.policy")),
        exported("dev.holdfast", Store.class));
    assertEquals(
        new TreeSet<>(Set.of("dev.holdfast.error", "dev.holdfast.pmem")),
        exported("dev.holdfast.pmem", PmemDevice.class));
  }

  /** What the compiler passes over is hidden, so that nothing exported can lack Javadoc. */
  @Test
  void compilerLooksAtTheJavadocOfAllThatIsExported() throws IOException {
    Set<String> hidden = new TreeSet<>(described("dev.holdfast", Store.class).packages());
    hidden.removeAll(exported("dev.holdfast", Store.class));
    String passedOver =
        hidden.stream().collect(Collectors.joining(",-", "<arg>-Xdoclint/package:-", "</arg>"));
    String engine = Files.readString(Path.of("pom.xml"));
    String devices = Files.readString(Path.of("../pmem-backend/pom.xml"));
    String all = "<arg>-Xdoclint:all/protected</arg>";
    assertTrue(engine.contains(all) && engine.contains(passedOver), () -> all + passedOver);
    assertTrue(devices.contains(all) && !devices.contains("doclint/package"), all);
  }

  private static Set<String> exported(String module, Class<?> member) {
    ModuleDescriptor descriptor = described(module, member);
    assertTrue(descriptor.opens().isEmpty() && !descriptor.isOpen(), descriptor::toString);
    return descriptor.exports().stream()
        .filter(exports -> !exports.isQualified())
        .map(Exports::source)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static ModuleDescriptor described(String module, Class<?> member) {
    return ModuleFinder.of(place(member)).find(module).orElseThrow().descriptor();
  }

  private ProofJvm run(List<Class<?>> libraries, Path user)
      throws IOException, InterruptedException {
    List<String> options =
        List.of("--enable-native-access=dev.holdfast.pmem", "-Dholdfast.hugePages.memory=false");
    String path = modulePath(libraries) + File.pathSeparator + user;
    return ProofJvm.runModule(directory, options, path, "holdfast.user/holdfast.user.Main");
  }

  /** Compiles a module of a user, and returns where its classes are. */
  private Path compiled(List<Class<?>> libraries, String module, String main) throws IOException {
    Path classes = directory.resolve("user");
    StringWriter said = new StringWriter();
    assertTrue(compiles(libraries, classes, said, module, main), said::toString);
    return classes;
  }

  private boolean compiles(
      List<Class<?>> libraries, Path classes, StringWriter said, String module, String main)
      throws IOException {
    Path sources = Files.createDirectories(directory.resolve("sources"));
    Path description = Files.writeString(sources.resolve("module-info.java"), module);
    Path program = Files.writeString(sources.resolve("Main.java"), main);
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null)) {
      String path = modulePath(libraries) + File.pathSeparator + place(Nullable.class);
      List<String> options =
          List.of("-proc:none", "-cp", "", "--module-path", path, "-d", classes.toString());
      return compiler
          .getTask(said, files, null, options, null, files.getJavaFileObjects(description, program))
          .call();
    }
  }

  private static String modulePath(List<Class<?>> libraries) {
    return libraries.stream()
        .map(library -> place(library).toString())
        .collect(Collectors.joining(File.pathSeparator));
  }

  /** The jar or folder that a class is from. */
  private static Path place(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
