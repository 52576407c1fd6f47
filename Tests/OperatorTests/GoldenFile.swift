import Encoding
import FoundationEssentials
import Testing
import YAML

/// Compares values with files below `Golden/`; `RECORD=1 swift test` rewrites them.
enum GoldenFile {
    static func check(
        _ values: [JSONValue], _ path: String, at location: SourceLocation = #_sourceLocation
    ) throws {
        let text = values.map { YAMLWriter.text($0) }.joined(separator: "---\n")
        let url = URL(filePath: "\(Repository.root)/Tests/OperatorTests/Golden/\(path)")
        if ProcessInfo.processInfo.environment["RECORD"] == "1" {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
            return
        }
        let golden = try String(contentsOf: url, encoding: .utf8)
        #expect(text == golden, "\(path) differs; RECORD=1 rewrites it", sourceLocation: location)
    }
}
