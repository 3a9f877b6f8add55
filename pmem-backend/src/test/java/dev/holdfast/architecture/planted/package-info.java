/** One class for every rule, each of which breaks that rule: the rules must find them. */
@NullMarked
package dev.holdfast.architecture.planted;

import org.jspecify.annotations.NullMarked;
