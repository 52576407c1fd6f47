import Glibc
import Testing

/// SECURITY.md says which test shows what: those tests must exist.
struct SecurityTableTests {
    // Tests/ArchitectureTests/SecurityTableTests.swift, three levels up.
    private static let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

    private static func text(_ path: String) -> String? {
        guard let file = fopen("\(root)/\(path)", "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `every test and file that SECURITY.md names is there`() throws {
        let page = try #require(Self.text("SECURITY.md"))
        var testCount = 0
        for line in page.split(separator: "\n") where line.hasPrefix("| ") {
            var file: String?
            for (index, word) in line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            where index % 2 == 1 {
                if word.contains("/"), word.hasSuffix(".swift") || word.hasPrefix("Tests/") || word.hasPrefix("charts/")
                {
                    let path = String(word)
                    #expect(access("\(Self.root)/\(path)", F_OK) == 0, "SECURITY.md names \(path), which is not there")
                    file = word.hasSuffix("Tests.swift") ? path : nil
                } else if let file, word.contains(" ") {
                    testCount += 1
                    #expect(
                        Self.text(file)?.contains("func `\(word)`") == true,
                        "SECURITY.md: \(file) has no test `\(word)`")
                }
            }
        }
        #expect(testCount >= 25)
    }
}
