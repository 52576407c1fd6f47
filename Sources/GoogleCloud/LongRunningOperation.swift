public import HTTP

/// google.rpc.Status; `code` is gRPC's number.
public struct RPCStatus: Codable, Sendable, Hashable {
    public var code: Int?
    public var message: String?

    public init(code: Int?, message: String?) {
        self.code = code
        self.message = message
    }

    /// Classified; nil when it is no error.
    func failure(operation: String) -> APIError? {
        guard let code, code != 0 else { return nil }
        return GoogleCloudErrors.error(rpcCode: code, message: message ?? "", operation: operation)
    }
}

/// google.longrunning.Operation, as all APIs but container and compute have it.
///
/// It is never waited for: the next observation looks at the resource again. An old one is `.notFound`: then only the
/// resource tells.
public struct LongRunningOperation<Response: Decodable & Sendable>: Sendable {
    /// `projects/P/locations/L/operations/ID`.
    public var name: String
    public var isDone: Bool
    public var error: RPCStatus?
    /// What a finished operation made or deleted; with `validateOnly` what it would have made.
    public var response: Response?
    /// What it works on, as a resource name, where the API says so (TPU).
    public var target: String?
    /// What it waits for, where the API says so (TPU).
    public var statusDetail: String?

    /// Why it failed, classified; nil while it runs and when it succeeded.
    public var failure: APIError? { isDone ? error?.failure(operation: "operation \(name)") : nil }
}

extension LongRunningOperation: Equatable where Response: Equatable {}
extension LongRunningOperation: Hashable where Response: Hashable {}

extension LongRunningOperation: Decodable {
    private enum CodingKeys: String, CodingKey { case name, done, error, response, metadata }

    private struct Metadata: Decodable {
        var target: String?
        var statusDetail: String?
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        isDone = try container.decodeIfPresent(Bool.self, forKey: .done) ?? false
        error = try container.decodeIfPresent(RPCStatus.self, forKey: .error)
        response = try container.decodeIfPresent(Response.self, forKey: .response)
        let metadata = try container.decodeIfPresent(Metadata.self, forKey: .metadata)
        target = metadata?.target
        statusDetail = metadata?.statusDetail
    }
}

/// A reply without content that we read.
public struct EmptyReply: Decodable, Sendable, Hashable {}

/// The name of an operation, as a create or delete returned it.
struct OperationName {
    private let location: LocationName
    private let id: String

    /// - Throws: `.invalid` when the text is no operation's name.
    init(_ text: String, operation: String) throws(APIError) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == "projects", parts[2] == "locations", parts[4] == "operations" else {
            throw APIError(
                .invalid, operation: operation,
                message: "the operation \"\(NameKind.shown(text))\" is not valid: projects/P/locations/L/operations/ID")
        }
        location = LocationName(project: parts[1], location: parts[3])
        id = parts[5]
    }

    var path: [PathPart] { location.path + ["operations", .checked(.operation, id)] }
}
