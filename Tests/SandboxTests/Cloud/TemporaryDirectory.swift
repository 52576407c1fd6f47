import Glibc

/// A fresh directory that goes with its last reference.
final class TemporaryDirectory: Sendable {
    let path: String

    struct Failure: Error {
        let code: Int32
    }

    init() throws {
        var template = Array("/tmp/trainyard-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(code: errno) }
        path = template.withUnsafeBufferPointer { buffer in
            String(decoding: buffer.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    deinit { TemporaryDirectory.remove(path) }

    /// How many entries a folder in it has; 0 when there is none.
    func fileCount(_ folder: String) throws -> Int { TemporaryDirectory.entries("\(path)/\(folder)").count }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { buffer in
                String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func remove(_ path: String) {
        for name in entries(path) { remove("\(path)/\(name)") }
        if rmdir(path) != 0 { unlink(path) }
    }
}
