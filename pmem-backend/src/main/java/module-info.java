/** Devices whose memory can be lost. */
module dev.holdfast.pmem {
  exports dev.holdfast.error;
  exports dev.holdfast.pmem;

  requires jdk.nio.mapmode;
  requires static transitive org.jspecify;
}
