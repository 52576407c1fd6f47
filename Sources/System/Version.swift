/// The version of all programs of this repository; the CHANGELOG says what is in it.
public enum Version {
    public static let text = "0.1.0"
}
