import Encoding
import Glibc

/// An image's own program and its first arguments, and what containers make of them.
struct EntryPoint: Sendable {
    private let entry: [String]

    init(_ entry: [String]) { self.entry = entry }

    /// What every process of the sandbox has in its environment.
    static func baseVariables(home: String, temporary: String) -> [String: String] {
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "TMPDIR": temporary]
        // The toolchain's libraries may lie in a place that only the caller's environment names.
        for name in ["PATH", "LD_LIBRARY_PATH", "LANG"] {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        return variables
    }

    /// `command` replaces the image's entry point and its arguments, `args` only its arguments.
    ///
    /// - Throws: a sentence when there is no such program.
    func arguments(_ container: JSONValue, variables: [String: String]) throws(ContainerStartError) -> [String] {
        let command = Self.words(container["command"], variables)
        let arguments = Self.words(container["args"], variables)
        guard let program = command.first else {
            guard let path = entry.first else { throw ContainerStartError(message: "the image has no entry point") }
            return [try resolved(path, variables)] + entry.dropFirst() + arguments
        }
        return [try resolved(program, variables)] + command.dropFirst() + arguments
    }

    /// Finds a program: the image's own by its name (wherever the image has it), an absolute path, else in PATH.
    private func resolved(_ program: String, _ variables: [String: String]) throws(ContainerStartError) -> String {
        let name = program.split(separator: "/").last ?? ""
        if let own = entry.first, own.split(separator: "/").last == name, own.hasPrefix("/") { return own }
        if program.contains("/") { return program }
        for folder in (variables["PATH"] ?? "").split(separator: ":") {
            let path = "\(folder)/\(program)"
            if LocalFiles.isExecutable(path) { return path }
        }
        throw ContainerStartError(message: "exec: \"\(program)\": executable file not found in $PATH")
    }

    /// A list of strings with its `$(NAME)` replaced.
    static func words(_ list: JSONValue?, _ variables: [String: String]) -> [String] {
        (list?.arrayValue ?? []).compactMap(\.stringValue).map { Expansion.expanded($0, variables) }
    }
}
