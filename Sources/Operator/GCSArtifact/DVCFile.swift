import Encoding
import YAML

/// What a `.dvc` file or a `dvc.lock` says of its outputs. <https://dvc.org/doc/user-guide/project-structure/dvc-files>
struct DVCFile: Sendable, Equatable {
    struct Problem: Error, Equatable {
        var message: String
    }

    /// A file or a folder.
    struct Output: Sendable, Equatable {
        /// As in the file; relative.
        var path: String
        /// Hexadecimal; of a folder, of the list of its files.
        var md5: String
        var isFolder: Bool
        /// Written by DVC before 3: another place in the remote.
        var isLegacy: Bool
        /// Cloud versioning: the object's generation, where there is one.
        var generation: Int64?
    }

    var outputs: [Output]

    /// - Throws: `Problem`, with a sentence for whoever wrote the file.
    init(_ text: String) throws(Problem) {
        let document: JSONValue
        do throws(YAMLError) {
            document = try YAML.document(text).json
        } catch {
            throw Problem(message: "it is no YAML: \(error)")
        }
        var entries = document["outs"]?.arrayValue ?? []
        for (_, stage) in (document["stages"]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            entries += stage["outs"]?.arrayValue ?? []
        }
        guard !entries.isEmpty else { throw Problem(message: "it has no outs") }
        var outputs: [Output] = []
        for entry in entries { outputs += try Self.outputs(entry) }
        let paths = outputs.map(\.path)
        guard Set(paths).count == paths.count else { throw Problem(message: "a path is in it twice") }
        self.outputs = outputs
    }

    private static func outputs(_ entry: JSONValue) throws(Problem) -> [Output] {
        guard let path = entry["path"]?.stringValue else { throw Problem(message: "an output has no path") }
        // With cloud versioning a folder's files are in the file itself.
        if let files = entry["files"]?.arrayValue {
            var outputs: [Output] = []
            for file in files {
                guard let relative = file["relpath"]?.stringValue else {
                    throw Problem(message: "a file of \(path) has no relpath")
                }
                outputs.append(try output(file, path: "\(path)/\(relative)"))
            }
            return outputs
        }
        return [try output(entry, path: path)]
    }

    private static func output(_ entry: JSONValue, path: String) throws(Problem) -> Output {
        let shown = path.prefix(200)
        guard isPath(path) else { throw Problem(message: "\(shown) is no relative path") }
        guard let text = entry["md5"]?.stringValue else {
            throw Problem(message: "\(shown) has no md5: only outputs that DVC keeps in its cache can be copied")
        }
        let isFolder = text.hasSuffix(".dir")
        let md5 = isFolder ? String(text.dropLast(4)) : text
        guard isMD5(md5) else { throw Problem(message: "the md5 of \(shown) is none") }
        var versions: [Int64] = []
        for (_, cloud) in entry["cloud"]?.objectValue ?? [:] {
            let id = cloud["version_id"]
            if let generation = id?.integerValue ?? id?.stringValue.flatMap({ Int64($0) }) {
                versions.append(generation)
            }
        }
        guard versions.count <= 1 else { throw Problem(message: "\(shown) has versions in several remotes") }
        return Output(
            path: path, md5: md5, isFolder: isFolder, isLegacy: entry["hash"] == nil, generation: versions.first)
    }

    /// The list of a folder's files: `[{"md5": …, "relpath": …}]`.
    static func files(_ bytes: [UInt8], of folder: Output) throws(Problem) -> [Output] {
        guard let list = (try? JSONValue(parsing: bytes))?.arrayValue else {
            throw Problem(message: "the list of files of \(folder.path.prefix(200)) is no JSON list")
        }
        var files: [Output] = []
        for entry in list {
            guard let relative = entry["relpath"]?.stringValue, let md5 = entry["md5"]?.stringValue, isMD5(md5),
                isPath(relative)
            else { throw Problem(message: "the list of files of \(folder.path.prefix(200)) has an entry that is none") }
            files.append(
                Output(path: "\(folder.path)/\(relative)", md5: md5, isFolder: false, isLegacy: folder.isLegacy))
        }
        return files
    }

    /// Where DVC keeps content of that MD5, below the remote.
    static func cachePath(_ output: Output) -> String {
        let folder = output.isLegacy ? "" : "files/md5/"
        return "\(folder)\(output.md5.prefix(2))/\(output.md5.dropFirst(2))\(output.isFolder ? ".dir" : "")"
    }

    private static func isMD5(_ text: String) -> Bool {
        text.utf8.count == 32
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private static func isPath(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 900
            && text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
                !$0.isEmpty && $0 != "." && $0 != ".."
            }
    }
}
