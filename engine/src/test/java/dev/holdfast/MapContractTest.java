package dev.holdfast;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.common.collect.testing.ConcurrentNavigableMapTestSuiteBuilder;
import com.google.common.collect.testing.SampleElements;
import com.google.common.collect.testing.TestSortedMapGenerator;
import com.google.common.collect.testing.TestStringSortedMapGenerator;
import com.google.common.collect.testing.features.CollectionFeature;
import com.google.common.collect.testing.features.CollectionSize;
import com.google.common.collect.testing.features.MapFeature;
import dev.holdfast.codec.Codecs;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.ConcurrentNavigableMap;
import java.util.stream.Stream;
import junit.framework.Test;
import junit.framework.TestCase;
import junit.framework.TestSuite;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.AssertionFailedError;

/**
 * The contract of {@link ConcurrentNavigableMap}, as the test suites of Guava have it, on the view
 * of a typed map, the views of that, and theirs.
 */
final class MapContractTest {
  @TempDir(factory = MemoryTempDirs.class)
  Path directory;

  private Store store;

  @BeforeEach
  void open() {
    store = Store.builder(directory.resolve("s")).open();
  }

  @AfterEach
  void close() {
    store.close();
  }

  /** A map of strings, in the order that their codec names. */
  @TestFactory
  Stream<DynamicTest> stringsKeepTheContract() {
    return tests("strings", new Strings());
  }

  /** A map whose keys are in their natural order, which so has no comparator. */
  @TestFactory
  Stream<DynamicTest> numbersKeepTheContract() {
    return tests("numbers", new Numbers());
  }

  private static <K, V> Stream<DynamicTest> tests(
      String name, TestSortedMapGenerator<K, V> generator) {
    TestSuite suite =
        ConcurrentNavigableMapTestSuiteBuilder.using(generator)
            .named(name)
            .withFeatures(
                MapFeature.GENERAL_PURPOSE,
                CollectionFeature.KNOWN_ORDER,
                CollectionFeature.SUPPORTS_ITERATOR_REMOVE,
                CollectionSize.ANY)
            .createTestSuite();
    assertTrue(suite.countTestCases() > 30_000, suite::toString);
    List<DynamicTest> tests = new ArrayList<>();
    collect(suite, "", tests);
    return tests.stream();
  }

  /** Makes one test of all that is tried on maps of one kind and size: there are very many. */
  private static void collect(TestSuite suite, String path, List<DynamicTest> tests) {
    String name = path + "/" + suite.getName();
    List<Executable> cases = new ArrayList<>();
    for (Test test : Collections.list(suite.tests())) {
      if (test instanceof TestSuite inner && inner.testAt(0) instanceof TestCase) {
        for (Test each : Collections.list(inner.tests())) {
          cases.add(() -> run(assertInstanceOf(TestCase.class, each)));
        }
      } else {
        collect(assertInstanceOf(TestSuite.class, test), name, tests);
      }
    }
    if (!cases.isEmpty()) {
      tests.add(DynamicTest.dynamicTest(name, () -> assertAll(name, cases)));
    }
  }

  private static void run(TestCase test) {
    try {
      test.runBare();
    } catch (Throwable e) {
      throw new AssertionFailedError(test + ": " + e, e);
    }
  }

  private final class Strings extends TestStringSortedMapGenerator {
    @Override
    protected SortedMap<String, String> create(Map.Entry<String, String>[] entries) {
      ConcurrentNavigableMap<String, String> map =
          TypedMap.of(store, Codecs.STRING, Codecs.STRING).asMap();
      map.clear();
      for (Map.Entry<String, String> entry : entries) {
        map.put(entry.getKey(), entry.getValue());
      }
      return map;
    }
  }

  private final class Numbers implements TestSortedMapGenerator<Integer, String> {
    @Override
    public SortedMap<Integer, String> create(Object... elements) {
      ConcurrentNavigableMap<Integer, String> map =
          TypedMap.of(store, Codecs.INTEGER, Codecs.STRING).asMap();
      map.clear();
      for (Object element : elements) {
        Map.Entry<?, ?> entry = (Map.Entry<?, ?>) element;
        map.put((Integer) entry.getKey(), (String) entry.getValue());
      }
      return map;
    }

    @Override
    public SampleElements<Map.Entry<Integer, String>> samples() {
      return new SampleElements<>(
          Map.entry(-7, "one"),
          Map.entry(0, "two"),
          Map.entry(1, "three"),
          Map.entry(255, "four"),
          Map.entry(65536, "five"));
    }

    @Override
    @SuppressWarnings({"unchecked", "rawtypes"}) // as the interface wants it
    public Map.Entry<Integer, String>[] createArray(int length) {
      return new Map.Entry[length];
    }

    @Override
    public Integer[] createKeyArray(int length) {
      return new Integer[length];
    }

    @Override
    public String[] createValueArray(int length) {
      return new String[length];
    }

    @Override
    public Iterable<Map.Entry<Integer, String>> order(List<Map.Entry<Integer, String>> inserted) {
      inserted.sort(Map.Entry.comparingByKey());
      return inserted;
    }

    @Override
    public Map.Entry<Integer, String> belowSamplesLesser() {
      return Map.entry(Integer.MIN_VALUE, "below");
    }

    @Override
    public Map.Entry<Integer, String> belowSamplesGreater() {
      return Map.entry(-8, "below");
    }

    @Override
    public Map.Entry<Integer, String> aboveSamplesLesser() {
      return Map.entry(65537, "above");
    }

    @Override
    public Map.Entry<Integer, String> aboveSamplesGreater() {
      return Map.entry(Integer.MAX_VALUE, "above");
    }
  }
}
