package dev.holdfast.codec.chronicle;

import dev.holdfast.Store;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.bytes.BytesStore;

/**
 * A store whose keys and values are Chronicle {@code Bytes}, on or off the heap. They never lie on
 * a device: what is read is a verified copy.
 *
 * <p><b>Threads:</b> as the store; the {@code Bytes} that are passed in belong to their caller.
 */
@SuppressWarnings("exports") // who uses it requires Chronicle himself
public final class BytesView {
  private final Store store;

  private BytesView(Store store) {
    this.store = store;
  }

  /**
   * {@return a view of a store} Closing the store is the owner's task.
   *
   * @param store the store
   */
  public static BytesView of(Store store) {
    return new BytesView(store);
  }

  /**
   * Sets the value of a key: the readable bytes of each.
   *
   * @param key the readable bytes of it
   * @param value the readable bytes of it
   */
  public void put(BytesStore<?, ?> key, BytesStore<?, ?> value) {
    store.put(key.toByteArray(), value.toByteArray());
  }

  /**
   * Appends the value of a key to {@code into}.
   *
   * @param key the readable bytes of it
   * @param into gets the value behind what it holds
   * @return false if there is none; nothing was appended then
   */
  public boolean get(BytesStore<?, ?> key, Bytes<?> into) {
    byte[] value = store.get(key.toByteArray());
    if (value == null) {
      return false;
    }
    into.write(value);
    return true;
  }

  /**
   * Removes a key; false if it has no value.
   *
   * @param key the readable bytes of it
   * @return false if it had no value
   */
  public boolean remove(BytesStore<?, ?> key) {
    return store.remove(key.toByteArray());
  }
}
