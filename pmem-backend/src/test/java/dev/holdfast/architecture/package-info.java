/**
 * The rules that bytecode has to keep: {@link dev.holdfast.architecture.MemorySafety} and {@link
 * dev.holdfast.architecture.Layers}. Every module checks its classes against them.
 */
@NullMarked
package dev.holdfast.architecture;

import org.jspecify.annotations.NullMarked;
