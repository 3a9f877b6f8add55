package dev.holdfast.health.pipeline;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.health.HealthListener;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The listeners of a pipeline.
 *
 * <p><b>Threads:</b> any; {@link #offer} takes no lock.
 */
final class ListenerSet {
  private final String name;
  private final List<ListenerChannel> channels = new CopyOnWriteArrayList<>();

  /** Removed, and perhaps still in their last delivery. Guarded by this. */
  private final List<ListenerChannel> removed = new ArrayList<>();

  private int started;
  private boolean closed;

  ListenerSet(String name) {
    this.name = name;
  }

  void offer(HealthEvent event) {
    for (ListenerChannel channel : channels) {
      channel.offer(event);
    }
  }

  synchronized void add(HealthListener listener) {
    if (closed || channels.stream().anyMatch(channel -> channel.serves(listener))) {
      return;
    }
    var channel = new ListenerChannel(name + "-listener-" + ++started, listener);
    channel.start();
    channels.add(channel);
  }

  synchronized void remove(HealthListener listener) {
    removed.removeIf(channel -> !channel.thread().isAlive());
    for (ListenerChannel channel : channels) {
      if (channel.serves(listener)) {
        channel.stop();
        removed.add(channel);
      }
    }
    channels.removeAll(removed);
  }

  /** No more events and no more listeners; what waits is still delivered. */
  synchronized List<Thread> finish() {
    closed = true;
    List<Thread> threads = new ArrayList<>();
    for (ListenerChannel channel : channels) {
      channel.finish();
      threads.add(channel.thread());
    }
    return threads;
  }

  /** Ends what is still at it. */
  synchronized List<Thread> kill() {
    List<ListenerChannel> all = new ArrayList<>(channels);
    all.addAll(removed);
    List<Thread> threads = new ArrayList<>();
    for (ListenerChannel channel : all) {
      channel.kill();
      threads.add(channel.thread());
    }
    return threads;
  }
}
