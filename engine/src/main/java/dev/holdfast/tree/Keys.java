package dev.holdfast.tree;

import java.util.HexFormat;

/** Keys in messages: printable, bounded, nothing that a terminal or a log would act on. */
public final class Keys {
  private static final int SHOWN = 64;

  private Keys() {}

  /** The key as text where it is plain ASCII, else in hexadecimal. */
  public static String printable(byte[] key) {
    int n = Math.min(SHOWN, key.length);
    boolean plain = true;
    for (int i = 0; i < n; i++) {
      plain &= key[i] > 0x20 && key[i] < 0x7f && key[i] != '"' && key[i] != '\\';
    }
    String text =
        plain
            ? '"' + new String(key, 0, n, java.nio.charset.StandardCharsets.US_ASCII) + '"'
            : "0x" + HexFormat.of().formatHex(key, 0, n);
    return key.length > n ? text + "… (" + key.length + " bytes)" : text;
  }
}
