import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes the home of the running JDK to a file, for scripts that must not call a bare {@code java}.
 */
final class JavaHome {
  public static void main(String[] args) throws Exception {
    Path file = Path.of(args[0]);
    Files.createDirectories(file.getParent());
    Files.writeString(file, System.getProperty("java.home") + "\n");
  }
}
