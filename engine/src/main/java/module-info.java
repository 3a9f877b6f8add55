/** Holdfast. */
@SuppressWarnings("requires-automatic")
module dev.holdfast {
  exports dev.holdfast;
  exports dev.holdfast.codec;
  exports dev.holdfast.codec.chronicle;
  exports dev.holdfast.health;
  exports dev.holdfast.metrics;
  exports dev.holdfast.policy;

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
