package dev.holdfast.pmem;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Leaves word of which fault injector the tests ran with; the end of the build prints it. */
class FaultInjectorReportTest {
  @Test
  void injectorThatRanIsWrittenDown() throws IOException {
    String method = FaultInjector.pagePoisonMethod();
    assertTrue(List.of("UFFDIO_POISON", "fault page").contains(method), method);
    Path target = Path.of(System.getProperty("holdfast.target", "target"));
    Files.createDirectories(target);
    Files.writeString(target.resolve("fault-injector.txt"), method + "\n");
  }
}
