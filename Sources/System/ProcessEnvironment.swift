import Glibc

/// The environment variables of this process.
public enum ProcessEnvironment {
    /// All of them as they are now.
    public static var variables: [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let equals = pair.firstIndex(of: "=") {
                variables[String(pair[..<equals])] = String(pair[equals...].dropFirst())
            }
            entry += 1
        }
        return variables
    }
}
