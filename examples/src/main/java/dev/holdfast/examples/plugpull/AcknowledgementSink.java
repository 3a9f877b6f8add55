package dev.holdfast.examples.plugpull;

/** Is told what the writer does, where the ledger must outlive the process. */
interface AcknowledgementSink {
  /** Nobody. */
  AcknowledgementSink NONE =
      new AcknowledgementSink() {
        @Override
        public void issued(int index, int version, long length, byte[] digest) {}

        @Override
        public void acknowledged(int index, int version) {}
      };

  /** A write is about to be handed to the store. */
  void issued(int index, int version, long length, byte[] digest);

  /** The store acknowledged it. */
  void acknowledged(int index, int version);
}
