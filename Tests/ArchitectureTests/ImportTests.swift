import Glibc
import Testing

/// The arrows of the design: what each target's files may import. System modules are listed below.
private let allowedImports: [String: Set<String>] = {
    let operatorSide: Set<String> = [
        "Operator", "ControllerRuntime", "Kubernetes", "GoogleCloud", "HTTP", "YAML", "Telemetry", "TrainingContract",
        "Encoding", "System",
    ]
    let trainerSide: Set<String> = [
        "Training", "Kernels", "TrainingContract", "GoogleCloud", "HTTP", "Telemetry", "Encoding", "System", "CSystem",
    ]
    return [
        "System": ["CSystem"],
        "Encoding": [],
        "HTTP": ["CLibcurl", "Encoding", "System"],
        "YAML": ["CLibyaml", "Encoding"],
        "Telemetry": ["HTTP", "Encoding"],
        "Kubernetes": ["HTTP", "YAML", "Telemetry", "Encoding", "System"],
        "GoogleCloud": ["HTTP", "Telemetry", "Encoding", "System"],
        "ControllerRuntime": ["Kubernetes", "HTTP", "Telemetry", "Encoding"],
        "TrainingContract": [],
        "Operator": [
            "ControllerRuntime", "Kubernetes", "GoogleCloud", "HTTP", "YAML", "Telemetry", "TrainingContract",
            "Encoding",
        ],
        "KernelLoops": [],
        "KernelsAVX512": ["KernelLoops"],
        "Kernels": ["KernelLoops", "KernelsAVX512", "CKernelSource", "CSystem"],
        "Training": ["Kernels", "TrainingContract", "Encoding", "YAML"],
        "Sandbox": ["HTTP", "YAML", "Telemetry", "Encoding", "System"],
        "OperatorCommand": operatorSide,
        "TrainerCommand": trainerSide,
        "Benchmarks": operatorSide.union(["Sandbox", "CEmbedded", "CAllocations"]),
        "TrainyardCommand": operatorSide.union(trainerSide).union(["Sandbox", "CEmbedded"]),
    ]
}()

private let systemModules: Set<String> = ["Glibc", "Synchronization", "FoundationEssentials"]

private let allowedTopLevel: Set<String> = [
    "Package.swift", "Sources", "Tests", "crds", "charts", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md",
    // Made by tools and by runs; ignored by git.
    "Package.resolved", "runs",
]

struct ImportTests {
    private struct Import: Hashable {
        let file: String
        let module: String
    }

    private func imports(below folder: String) throws -> [Import] {
        try Repository.swiftFiles(below: folder).flatMap { file in
            try Repository.lines(of: file).compactMap { line in
                let words = line.split(separator: " ")
                guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count,
                    words[..<keyword].allSatisfy({ Repository.importModifiers.contains(String($0)) })
                else { return nil }
                let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "var", "let", "typealias"]
                let index = kinds.contains(words[keyword + 1]) ? keyword + 2 : keyword + 1
                guard index < words.count else { return nil }
                return Import(file: file, module: String(words[index].prefix { $0 != "." && $0 != ";" }))
            }
        }
    }

    @Test func `every file imports only what its target may`() throws {
        for folder in try Repository.entries(of: "Sources")
        where !folder.hasPrefix("C") || folder == "ControllerRuntime" {
            // Thin targets that re-emit the kernels for one instruction set have the kernels' rights and the kernels.
            let isKernelVariant = folder.hasPrefix("Kernels") && folder != "Kernels"
            let kernelRights = allowedImports["Kernels"]?.union(["Kernels"])
            let isBenchmark = folder.hasSuffix("Benchmark") || folder.hasSuffix("Benchmarks")
            let everything = Set(allowedImports.keys).union(allowedImports.values.joined())
            let rights = allowedImports[folder] ?? (isKernelVariant ? kernelRights : isBenchmark ? everything : nil)
            guard let allowed = rights else {
                Issue.record("Sources/\(folder) is not in the table of targets")
                continue
            }
            for found in try imports(below: "Sources/\(folder)")
            where !allowed.contains(found.module) && !systemModules.contains(found.module) {
                Issue.record("\(found.file) imports \(found.module)")
            }
        }
    }

    @Test func `nobody imports Foundation`() throws {
        let found = try imports(below: "Sources") + imports(below: "Tests")
        #expect(!found.isEmpty)
        #expect(found.filter { $0.module == "Foundation" } == [])
    }

    @Test func `each C library has one user`() throws {
        let found = try imports(below: "Sources") + imports(below: "Tests")
        for (module, home) in [("CLibcurl", "Sources/HTTP/"), ("CLibyaml", "Sources/YAML/")] {
            #expect(found.contains { $0.module == module })
            #expect(found.filter { $0.module == module && !$0.file.hasPrefix(home) } == [])
        }
    }

    @Test func `the top level holds only what is meant to be there`() throws {
        let entries = try Repository.entries(of: "").filter { !$0.hasPrefix(".") }
        #expect(Set(entries).subtracting(allowedTopLevel) == [])
    }

    @Test func `no file is longer than 400 lines`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            let count = try Repository.lines(of: file).count
            if count > 400 { Issue.record("\(file) has \(count) lines") }
        }
    }
}

/// The repository as files.
private enum Repository {
    static let importModifiers: Set<String> = [
        "public", "package", "internal", "fileprivate", "private", "@testable", "@preconcurrency", "@_exported",
    ]

    /// Tests/ArchitectureTests/ImportTests.swift, three levels up.
    static let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

    struct Unreadable: Error {
        let path: String
    }

    static func entries(of folder: String) throws -> [String] {
        guard let directory = opendir("\(root)/\(folder)") else { throw Unreadable(path: folder) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func swiftFiles(below folder: String) throws -> [String] {
        var files: [String] = []
        for name in try entries(of: folder) {
            let path = "\(folder)/\(name)"
            var status = stat()
            guard lstat("\(root)/\(path)", &status) == 0 else { throw Unreadable(path: path) }
            if status.st_mode & S_IFMT == S_IFDIR {
                files += try swiftFiles(below: path)
            } else if name.hasSuffix(".swift") {
                files.append(path)
            }
        }
        return files
    }

    static func lines(of file: String) throws -> [Substring] {
        guard let handle = fopen("\(root)/\(file)", "r") else { throw Unreadable(path: file) }
        defer { fclose(handle) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, handle), count > 0 {
            bytes.append(contentsOf: buffer[..<count])
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            .dropLast()
    }
}
