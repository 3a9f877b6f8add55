package dev.holdfast.volume;

import dev.holdfast.error.DeviceOfflineException;
import dev.holdfast.pmem.BadRange;
import dev.holdfast.pmem.DeviceHolder;
import dev.holdfast.pmem.DeviceState;
import dev.holdfast.pmem.PersistenceMode;
import dev.holdfast.pmem.PmemDevice;
import dev.holdfast.pmem.Window;
import java.util.List;
import java.util.UUID;

/**
 * Stands for the device of a leg that was not there when the volume was opened.
 *
 * @param id the device that the superblocks know; the one that is missing
 * @param name where it should be
 * @param persistenceMode the mode of the store
 */
public record AbsentDevice(UUID id, String name, PersistenceMode persistenceMode)
    implements PmemDevice {
  @Override
  public long capacity() {
    return 0;
  }

  @Override
  public DeviceState state() {
    return DeviceState.DEAD;
  }

  @Override
  public long generation() {
    return 0;
  }

  /** Who takes its place is raised then. */
  @Override
  public void raise(PersistenceMode mode) {}

  @Override
  public Window map() {
    throw offline();
  }

  @Override
  public void flush(long offset, long length) {
    throw offline();
  }

  @Override
  public void fence() {
    throw offline();
  }

  @Override
  public void grow(long capacity) {
    throw offline();
  }

  @Override
  public List<BadRange> badBlocks() {
    return List.of();
  }

  @Override
  public void read(long offset, byte[] target, int targetOffset, int length) {
    throw offline();
  }

  @Override
  public BadRange clearPoison(long offset, long length) {
    throw offline();
  }

  @Override
  public void dropBadBlocks(long offset, long length) {
    throw offline();
  }

  @Override
  public void hold(DeviceHolder holder) {}

  @Override
  public void release(DeviceHolder holder) {}

  @Override
  public void close() {}

  private DeviceOfflineException offline() {
    return new DeviceOfflineException(name + ": no such device; it was removed or never created");
  }
}
