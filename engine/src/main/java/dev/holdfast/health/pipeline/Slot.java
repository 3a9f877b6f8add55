package dev.holdfast.health.pipeline;

import dev.holdfast.health.HealthEvent;
import dev.holdfast.pmem.FaultKind;
import org.jspecify.annotations.Nullable;

/**
 * One place of the ring: a report of a fault, or news that concerns listeners alone.
 *
 * <p><b>Threads:</b> its producer's until it is published, then the health thread's until that
 * releases it, then the publishing thread's until the ring hands it out again.
 */
final class Slot {
  HealthEvent.Kind kind = HealthEvent.Kind.NOTIFIED;

  /** What was reported; null for news. */
  @Nullable FaultKind fault;

  int leg;
  long offset;
  long length;
  long nanoTime;
  String detail = "";

  /** Its place in the ring, once recorded. */
  long order;

  /** How many reports this one stands for; 0 after it was merged into an earlier one. */
  int reports;

  void fillWithReport(int leg, FaultKind fault, long offset, long length, long nanoTime) {
    this.kind = HealthEvent.Kind.NOTIFIED;
    this.fault = fault;
    this.leg = leg;
    this.offset = offset;
    this.length = length;
    this.nanoTime = nanoTime;
    this.detail = "";
    this.reports = 1;
  }

  void fillWithNews(
      HealthEvent.Kind kind, int leg, long offset, long length, String detail, long nanoTime) {
    this.kind = kind;
    this.fault = null;
    this.leg = leg;
    this.offset = offset;
    this.length = length;
    this.nanoTime = nanoTime;
    this.detail = detail;
    this.reports = 1;
  }

  /** Cuts the range down to what can exist: nothing below 0, nothing that overflows. */
  void clampRange() {
    if (length < 0) {
      length = 0;
    }
    if (offset < 0) {
      length = Math.max(0, offset + length);
      offset = 0;
    }
    length = Math.min(length, Long.MAX_VALUE - offset);
  }

  long end() {
    return offset + length;
  }

  boolean touches(Slot other) {
    return offset <= other.end() && other.offset <= end();
  }

  /** Takes over the range of a later report, which is none of its own any more. */
  void absorb(Slot later) {
    long end = Math.max(end(), later.end());
    offset = Math.min(offset, later.offset);
    length = end - offset;
    reports += later.reports;
    later.reports = 0;
  }

  /** One line for people. */
  String describe() {
    if (fault == null) {
      return detail;
    }
    String line = fault + " of leg " + leg + " at [" + offset + ", +" + length + ")";
    return reports == 1 ? line : line + ", " + reports + " reports";
  }

  @Override
  public String toString() {
    return kind + " " + describe();
  }
}
