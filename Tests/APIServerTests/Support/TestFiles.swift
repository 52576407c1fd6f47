import Glibc

@testable import Sandbox

/// The few file calls of the harness.
enum TestFiles {
    static func temporaryFolder() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/trainyard-apiserver-XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw ArrangementFailure("no folder can be made in \(parent)") }
        return String(cString: path)
    }

    static func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

    static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw ArrangementFailure("cannot write \(path)") }
        let bytes = Array(text.utf8)
        let count = fwrite(bytes, 1, bytes.count, file)
        guard fclose(file) == 0, count == bytes.count else { throw ArrangementFailure("cannot write \(path)") }
    }

    /// The text of a file, nil when there is none.
    static func text(_ path: String) -> String? {
        LocalFiles.read(path, limit: 16 << 20).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The last lines of a log.
    static func tail(_ path: String) -> String {
        let lines = (text(path) ?? "").split(separator: "\n")
        // A Go program that panics says why before a long list of goroutines.
        let panic = lines.firstIndex { $0.hasPrefix("panic:") || $0.hasPrefix("fatal error:") }
        let shown = panic.map { lines[$0...].prefix(40) } ?? lines.suffix(20)
        return "--- \(path)\n" + shown.map { "\($0.prefix(300))\n" }.joined()
    }

    static func remove(_ folder: String) {
        for name in names(in: folder) {
            var info = stat()
            let child = "\(folder)/\(name)"
            if lstat(child, &info) == 0, info.st_mode & S_IFMT == S_IFDIR { remove(child) } else { unlink(child) }
        }
        rmdir(folder)
    }

    private static func names(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Up to ten seconds after a kill.
    static func waitForEnd(_ process: LocalProcess) async {
        for _ in 0..<1000 where process.peek() == nil { usleep(10_000) }
    }
}

/// Ports of loopback that were free a moment ago.
enum FreePorts {
    static func some(_ count: Int) throws -> [Int] {
        var sockets: [Int32] = []
        defer { sockets.forEach { close($0) } }
        var ports: [Int] = []
        for _ in 0..<count {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
                }
            }
            guard code == 0 else { throw ArrangementFailure("no port is free on loopback") }
            ports.append(Int(UInt16(bigEndian: address.sin_port)))
        }
        return ports
    }
}
