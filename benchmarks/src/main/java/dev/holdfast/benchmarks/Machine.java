package dev.holdfast.benchmarks;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/** What a measurement ran on; nothing that names the machine. */
final class Machine {
  private Machine() {}

  static Map<String, Object> describe() {
    Map<String, Object> machine = new LinkedHashMap<>();
    machine.put("cores", Runtime.getRuntime().availableProcessors());
    if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
      machine.put("memoryBytes", system.getTotalMemorySize());
    }
    machine.put("architecture", property("os.arch"));
    machine.put("kernel", property("os.name") + " " + property("os.version"));
    machine.put("jdk", property("java.vendor") + " " + property("java.runtime.version"));
    machine.put(
        "collectors",
        ManagementFactory.getGarbageCollectorMXBeans().stream()
            .map(GarbageCollectorMXBean::getName)
            .collect(Collectors.joining(", ")));
    machine.put("maxHeapBytes", Runtime.getRuntime().maxMemory());
    return machine;
  }

  private static String property(String name) {
    return String.valueOf(System.getProperty(name));
  }
}
