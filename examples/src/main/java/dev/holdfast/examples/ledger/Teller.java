package dev.holdfast.examples.ledger;

import dev.holdfast.error.HoldfastException;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/** Makes transfers between accounts at random, and knows how many were acknowledged. */
final class Teller implements Runnable {
  private final Bank bank;
  private final int number;
  private final int accounts;
  private final Random random;
  private final BooleanSupplier goesOn;
  private final AtomicLong made = new AtomicLong();

  private volatile long longestNanos;
  private volatile @Nullable HoldfastException failure;

  Teller(Bank bank, int number, int accounts, long seed, BooleanSupplier goesOn) {
    this.bank = bank;
    this.number = number;
    this.accounts = accounts;
    this.random = new Random(seed * 31 + number);
    this.goesOn = goesOn;
  }

  @Override
  public void run() {
    try {
      while (goesOn.getAsBoolean()) {
        int from = random.nextInt(accounts);
        int to = (from + 1 + random.nextInt(accounts - 1)) % accounts;
        long began = System.nanoTime();
        boolean done = bank.transfer(number, made.get(), from, to, 1 + random.nextInt(100));
        longestNanos = Math.max(longestNanos, System.nanoTime() - began);
        if (done) {
          made.incrementAndGet();
        }
      }
    } catch (HoldfastException e) {
      failure = e;
    }
  }

  int number() {
    return number;
  }

  /** How many transfers were acknowledged; each has its line in the journal, by its number. */
  long made() {
    return made.get();
  }

  /** The longest that one took since the last time that somebody asked. */
  long longestNanos() {
    long longest = longestNanos;
    longestNanos = 0;
    return longest;
  }

  /** What ended it; null if nothing did. */
  @Nullable HoldfastException failure() {
    return failure;
  }
}
