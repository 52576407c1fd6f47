internal import Encoding
internal import HTTP

/// An error of a simulated Google API; each API writes it in its own shape.
struct CloudError: Error, Sendable, Equatable {
    var status: Int
    /// gRPC's word for container, `reason` for storage.
    var reason: String
    var message: String
    /// ESF's `BadRequest.fieldViolations`.
    var violations: [BodySchema.Violation] = []
    /// Storage's `location` of the fault, e.g. `If-Match`.
    var location: String?
    /// google.rpc details: `ErrorInfo`, `QuotaFailure`, `Help`.
    var details: [JSONValue] = []

    /// google.rpc: `{"error":{"code","message","status","details"}}`.
    var rpcReply: HTTPReply {
        var error: JSONValue = [
            "code": .integer(Int64(status)), "message": .string(message), "status": .string(reason),
        ]
        var details = details
        if !violations.isEmpty {
            details.append([
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": .array(
                    violations.map { ["field": .string($0.path), "description": .string($0.description)] }),
            ])
        }
        if !details.isEmpty { error["details"] = .array(details) }
        return .json(["error": error], status: status)
    }

    /// The older JSON APIs: `{"error":{"code","message","errors":[{…}]}}`.
    var storageReply: HTTPReply {
        if status == 304 { return HTTPReply(status: 304) }
        var detail: JSONValue = ["domain": "global", "reason": .string(reason), "message": .string(message)]
        if let location {
            detail["location"] = .string(location)
            detail["locationType"] = location.hasPrefix("If-") ? "header" : "parameter"
        }
        var error: JSONValue = [
            "code": .integer(Int64(status)), "message": .string(message), "errors": [detail],
        ]
        if !details.isEmpty { error["details"] = .array(details) }
        return .json(["error": error], status: status)
    }
}

extension HTTPReply {
    static func json(_ value: JSONValue, status: Int = 200) -> HTTPReply {
        HTTPReply(
            status: status, headers: ["Content-Type": "application/json; charset=UTF-8"], body: value.serialized())
    }

    /// The connection breaks instead of a reply.
    static let lost = HTTPReply.disconnect
}
