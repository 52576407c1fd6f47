internal import Encoding
internal import HTTP

/// `ifGenerationMatch` and its kin.
struct Preconditions: Sendable, Equatable {
    var generationMatch: Int64?
    var generationNotMatch: Int64?
    var metagenerationMatch: Int64?
    var metagenerationNotMatch: Int64?

    static let parameters: Set<String> = [
        "ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch",
    ]

    /// Of a rewrite's source.
    static let sourceParameters: Set<String> = [
        "ifSourceGenerationMatch", "ifSourceGenerationNotMatch", "ifSourceMetagenerationMatch",
        "ifSourceMetagenerationNotMatch",
    ]

    /// - Parameter prefix: `ifSource` for the conditions of a source.
    /// - Throws: 400 when one of them is no number.
    init(_ url: HTTPURL, prefix: String = "if") throws(CloudError) {
        generationMatch = try Self.number(url, prefix + "GenerationMatch")
        generationNotMatch = try Self.number(url, prefix + "GenerationNotMatch")
        metagenerationMatch = try Self.number(url, prefix + "MetagenerationMatch")
        metagenerationNotMatch = try Self.number(url, prefix + "MetagenerationNotMatch")
    }

    /// - Parameters: 0 when there is no live version.
    /// - Throws: 412; for the `Not` forms of a read 304.
    func check(generation: Int64, metageneration: Int64, isRead: Bool = false) throws(CloudError) {
        if let generationMatch, generationMatch != generation { throw Self.failed("If-Match") }
        if let metagenerationMatch, metagenerationMatch != metageneration { throw Self.failed("If-Match") }
        if generationNotMatch == generation || metagenerationNotMatch == metageneration {
            throw isRead
                ? CloudError(status: 304, reason: "notModified", message: "Not Modified") : Self.failed("If-None-Match")
        }
    }

    private static func failed(_ header: String) -> CloudError {
        CloudError(
            status: 412, reason: "conditionNotMet",
            message: "At least one of the pre-conditions you specified did not hold.", location: header)
    }

    static func number(_ url: HTTPURL, _ name: String) throws(CloudError) -> Int64? {
        guard let text = url.queryValue(name) else { return nil }
        guard let number = Int64(text), number >= 0 else {
            throw CloudError(
                status: 400, reason: "invalidParameter", message: "Invalid value '\(text)' for \(name).",
                location: name)
        }
        return number
    }
}
