/** Planted violations of the rules about libraries that only the engine has. */
@NullMarked
package dev.holdfast.architecture.engine;

import org.jspecify.annotations.NullMarked;
