package dev.holdfast.architecture.planted.right;

import dev.holdfast.architecture.planted.left.Left;

/** Knows the left. */
public record Right(Left left) {}
