package dev.holdfast.architecture.planted;

import dev.holdfast.pmem.Window;
import java.io.IOException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.function.LongFunction;

/** What nobody may do, each in a class of its own. None of it is ever run. */
@SuppressWarnings("restricted") // that is what the rules are for
final class Planted {
  private Planted() {}

  static final class LoadsWithoutBarrier {
    long load(Window window) {
      return dev.holdfast.pmem.Gateway.getLong(window, 0);
    }
  }

  static final class Reinterprets {
    MemorySegment all() {
      return MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
    }
  }

  static final class ReinterpretsByReference {
    LongFunction<MemorySegment> all() {
      return MemorySegment.NULL::reinterpret;
    }
  }

  static final class MakesSegment {
    MemorySegment at(long address) {
      return MemorySegment.ofAddress(address);
    }
  }

  static final class MakesSegmentByReference {
    LongFunction<MemorySegment> maker() {
      return MemorySegment::ofAddress;
    }
  }

  static final class MakesSegmentByLayout {
    AddressLayout layout(AddressLayout address, MemoryLayout target) {
      return address.withTargetLayout(target);
    }
  }

  static final class MapsFile {
    long map(FileChannel file) throws IOException {
      return file.map(FileChannel.MapMode.READ_WRITE, 0, 1).capacity();
    }
  }

  static final class HoldsMappedBuffer {
    int at(MappedByteBuffer buffer) {
      return buffer.position();
    }
  }

  static final class CallsNatively {
    MethodHandle call(MemorySegment function) {
      return Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.ofVoid());
    }
  }
}
