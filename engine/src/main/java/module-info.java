/**
 * Holdfast: an embeddable, ordered key-value store that survives the loss of the memory under it.
 *
 * <p>Everything begins at {@link dev.holdfast.Store}; what it needs of the module under it is
 * {@link dev.holdfast.pmem.PersistenceMode} and the exceptions of {@code dev.holdfast.error}.
 *
 * <pre>{@code
 * try (Store store = Store.open(Path.of("data"))) {
 *   store.put(key, value);
 *   byte[] found = store.get(key);
 * }
 * }</pre>
 *
 * <h2>Open</h2>
 *
 * {@link dev.holdfast.Store#open Store.open} opens a directory, or makes a store there: two copies
 * of everything, called legs, that grow by themselves. {@link dev.holdfast.Store#builder
 * Store.builder} has the options, all of them in {@link dev.holdfast.StoreBuilder}: where the legs
 * lie, how far an acknowledged write has come ({@link dev.holdfast.StoreBuilder#persistence
 * persistence}), real persistent memory ({@link dev.holdfast.StoreBuilder#dax dax}), spares, rates
 * and budgets. None is needed. {@link dev.holdfast.Store#close close} ends it in order, {@link
 * dev.holdfast.Store#forceClose forceClose} at once.
 *
 * <h2>Read and write</h2>
 *
 * A store is a {@link dev.holdfast.RawMap} from bytes to bytes, in unsigned lexicographic order:
 * get, put, remove, putIfAbsent, replace, and compute, merge and add, which are atomic for a key.
 * Keys and values are arrays or memory segments; {@link dev.holdfast.RawMap#read read} shows a
 * value without an allocation, a {@link dev.holdfast.Lease} a large one where it lies. {@link
 * dev.holdfast.codec.Codecs} makes bytes of other types, in their order, and {@code
 * dev.holdfast.codec.chronicle} takes those of Chronicle.
 *
 * <p>A store has further maps by {@linkplain dev.holdfast.Store#map name}, each with keys of its
 * own; the entries of an {@link dev.holdfast.ExpiringMap} may have deadlines.
 *
 * <h2>Ranges</h2>
 *
 * A {@link dev.holdfast.KeyRange} says which keys, a {@link dev.holdfast.Cursor} walks over them,
 * up or down; {@link dev.holdfast.ReadableMap#stream stream} and {@link dev.holdfast.RawMap#scan
 * scan} do the same in other clothes.
 *
 * <h2>Several at once</h2>
 *
 * <ul>
 *   <li>A {@link dev.holdfast.Snapshot} shows what the store held at one moment, until it is
 *       closed.
 *   <li>A {@link dev.holdfast.WriteBatch} is written as a whole or not at all.
 *   <li>A {@link dev.holdfast.Transaction} reads and writes, and is committed only if nobody
 *       changed what it read: {@link dev.holdfast.Store#transact transact} runs it again until
 *       then.
 *   <li>{@link dev.holdfast.AsyncWrites} are acknowledged by a future, and share what they wait
 *       for.
 * </ul>
 *
 * <h2>Faults and health</h2>
 *
 * While one leg holds an entry no operation fails, whatever becomes of the others. {@link
 * dev.holdfast.Store#health health} says how the store is and what is lost, {@link
 * dev.holdfast.Store#stats stats} has the figures, a {@link dev.holdfast.health.HealthListener} is
 * told what happens, and so are flight recordings and {@link dev.holdfast.metrics.StoreMetrics
 * meters}. What no leg holds any more throws {@link dev.holdfast.error.DataLostException}. A {@link
 * dev.holdfast.policy.FailurePolicy} decides what a fault means where the standard one does not
 * suit; legs are {@linkplain dev.holdfast.Store#attach attached}, {@linkplain
 * dev.holdfast.Store#replace replaced} and {@linkplain dev.holdfast.Store#detach detached} while
 * the store runs, {@link dev.holdfast.Store#scrub scrub} reads and verifies everything, and {@link
 * dev.holdfast.Store#badRanges badRanges} lists what went bad. {@link
 * dev.holdfast.pmem.FaultInjector} makes faults, for tests.
 *
 * <h2>Backup</h2>
 *
 * {@link dev.holdfast.Store#checkpoint checkpoint} copies a running store to another one, {@link
 * dev.holdfast.Dump} to a stream and back; {@link dev.holdfast.Store#verify(java.nio.file.Path)
 * verify} reads all of a store that nobody has open.
 *
 * <h2>What it needs</h2>
 *
 * Linux on x86-64 or aarch64, and {@code --enable-native-access=dev.holdfast.pmem}. Micrometer and
 * Chronicle Bytes are optional: a module that uses {@code dev.holdfast.metrics} or {@code
 * dev.holdfast.codec.chronicle} requires them itself.
 */
@SuppressWarnings("requires-automatic")
module dev.holdfast {
  exports dev.holdfast;
  exports dev.holdfast.codec;
  exports dev.holdfast.codec.chronicle;
  exports dev.holdfast.health;
  exports dev.holdfast.metrics;
  exports dev.holdfast.policy;

  requires com.github.benmanes.caffeine;
  requires com.lmax.disruptor;
  requires transitive dev.holdfast.pmem;
  requires static chronicle.bytes;
  requires static chronicle.core;
  requires static micrometer.core;
  requires static transitive org.jspecify;
  requires java.management;
  requires jdk.jfr;
  requires jdk.management;
}
