package dev.holdfast.architecture.planted.left;

import dev.holdfast.architecture.planted.right.Right;

/** Knows the right. */
public record Left(Right right) {}
