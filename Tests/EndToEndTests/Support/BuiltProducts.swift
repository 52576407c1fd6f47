import Encoding
import Glibc
import YAML

/// What the build left beside this test, and the files of the repository.
enum BuiltProducts {
    /// The path of a built program: it lies beside the running test's own executable.
    static func path(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // swift-testing's helper of the toolchain loads the bundle from the build folder, which is then argument 1.
        let candidates = [own] + CommandLine.arguments
        for candidate in candidates {
            let path =
                candidate.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                .joined(separator: "/") + "/" + name
            if access(path, X_OK) == 0 { return path }
        }
        throw MissingPart("\(name) does not lie beside \(own): build it first (swift build)")
    }

    /// The repository's root.
    static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4)
        .joined(separator: "/")

    /// A YAML file of the repository.
    static func documents(_ path: String) throws -> [JSONValue] {
        guard let text = FileText.read("\(root)/\(path)") else { throw MissingPart("there is no file \(path)") }
        return try YAML.documents(text).map(\.json)
    }
}

/// Something that a test needs and that is not there.
struct MissingPart: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Files as bytes.
enum FileBytes {
    static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return bytes
    }
}

/// Files as text.
enum FileText {
    static func read(_ path: String) -> String? {
        FileBytes.read(path).map { String(decoding: $0, as: UTF8.self) }
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw MissingPart("cannot write \(path)") }
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw MissingPart("cannot write \(path)") }
    }

    /// The last lines of a file, for messages.
    static func tail(_ path: String, lines: Int) -> String {
        (read(path) ?? "(no such file)").split(separator: "\n").suffix(lines).joined(separator: "\n")
    }

    /// Removes a folder and all that is in it.
    static func removeTree(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { buffer in
                    String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { removeTree("\(path)/\(name)") }
            }
            closedir(folder)
        }
        remove(path)
    }
}
