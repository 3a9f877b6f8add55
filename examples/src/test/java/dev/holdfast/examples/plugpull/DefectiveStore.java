package dev.holdfast.examples.plugpull;

import dev.holdfast.Store;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Stores with a planted defect, around a real one. A store is passed on whole but for {@code put}
 * and {@code get}, on arrays and on memory, which is what {@code BytesView} goes through.
 */
final class DefectiveStore {
  private DefectiveStore() {}

  /** One operation of a store, in place of the real one. */
  private interface Defect {
    /** What to answer; or what the real store answers, by calling it. */
    @Nullable Object answer(String name, @Nullable Object[] arguments, Real real) throws Throwable;
  }

  /** The operation of the real store. */
  private interface Real {
    @Nullable Object call() throws Throwable;
  }

  private static Store around(Store store, Defect defect) {
    InvocationHandler handler =
        (proxy, method, given) -> {
          @Nullable Object[] arguments = given == null ? new Object[0] : given;
          Real real =
              () -> {
                try {
                  return method.invoke(store, arguments);
                } catch (InvocationTargetException e) {
                  throw e.getCause();
                }
              };
          if (arguments.length > 1
              && arguments[0] instanceof MemorySegment key
              && arguments[1] instanceof MemorySegment other) {
            return onMemory(store, defect, method.getName(), key, other);
          }
          boolean onArrays = arguments.length > 0 && arguments[0] instanceof byte[];
          return onArrays ? defect.answer(method.getName(), arguments, real) : real.call();
        };
    return (Store)
        Proxy.newProxyInstance(
            DefectiveStore.class.getClassLoader(), new Class<?>[] {Store.class}, handler);
  }

  /** As if it had been asked for with arrays. */
  private static @Nullable Object onMemory(
      Store store, Defect defect, String name, MemorySegment of, MemorySegment other)
      throws Throwable {
    byte[] key = of.toArray(ValueLayout.JAVA_BYTE);
    if (name.equals("put")) {
      byte[] value = other.toArray(ValueLayout.JAVA_BYTE);
      return defect.answer(
          name,
          new Object[] {key, value},
          () -> {
            store.put(key, value);
            return null;
          });
    }
    byte[] value = (byte[]) defect.answer(name, new Object[] {key}, () -> store.get(key));
    if (value == null) {
      return -1L;
    }
    if (value.length <= other.byteSize()) {
      MemorySegment.copy(value, 0, other, ValueLayout.JAVA_BYTE, 0, value.length);
    }
    return (long) value.length;
  }

  /** Acknowledges one write and does nothing. */
  static Store dropsOneWrite(Store store, int number) {
    AtomicInteger puts = new AtomicInteger();
    return around(
        store,
        (name, arguments, real) ->
            name.equals("put") && puts.incrementAndGet() == number ? null : real.call());
  }

  /** Answers one read of an overwritten key with the value before. */
  static Store returnsOneStaleValue(Store store) {
    Map<ByteBuffer, byte[]> newest = new HashMap<>();
    AtomicReference<@Nullable ByteBuffer> overwritten = new AtomicReference<>();
    AtomicReference<byte[]> stale = new AtomicReference<>(new byte[0]);
    return around(
        store,
        (name, arguments, real) -> {
          ByteBuffer key = ByteBuffer.wrap((byte[]) arguments[0]);
          if (name.equals("put")) {
            Object answer = real.call();
            byte[] before = newest.put(key, ((byte[]) arguments[1]).clone());
            if (before != null && overwritten.get() == null) {
              stale.set(before);
              overwritten.set(key);
            }
            return answer;
          }
          boolean hit = name.equals("get") && key.equals(overwritten.get());
          Object answer = real.call();
          return hit ? stale.get() : answer;
        });
  }

  /** Acknowledges at once, stores later on another thread, and keeps its failure to itself. */
  static Store acknowledgesBeforeTheBarrier(Store store) {
    ExecutorService later = Executors.newSingleThreadExecutor(Thread.ofVirtual().factory());
    return around(
        store,
        (name, arguments, real) -> {
          if (!name.equals("put")) {
            return real.call();
          }
          later.execute(() -> {
            try {
              real.call();
            } catch (Throwable swallowed) {
              // This is the defect.
            }
          });
          return null;
        });
  }
}
