import Encoding
import GoogleCloud
import HTTP

/// A Cloud Storage that says the same in other words: fields that nobody knows, lists and rules in another order, absent
/// for false, and labels of somebody else.
struct DressingTransport: HTTPTransport {
    let base: any HTTPTransport

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        var response = try await base.send(request)
        let segments = request.url.decodedSegments ?? []
        guard request.method == .get, response.isSuccess, segments.count == 4,
            segments.starts(with: ["storage", "v1", "b"]),
            var bucket = try? JSONValue(parsing: response.body)
        else { return response }
        DressingTransport.dress(&bucket)
        response.body = bucket.serialized()
        return response
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream { try await base.open(request) }

    private static func dress(_ bucket: inout JSONValue) {
        bucket.set("YES", at: ["somethingNew"])
        bucket.set("other-team", at: ["labels", "cost-center"])
        bucket.set(
            ["enabled": true, "lockedTime": "2027-01-01T00:00:00Z"], at: ["iamConfiguration", "bucketPolicyOnly"])
        bucket.set("2027-01-01T00:00:00Z", at: ["softDeletePolicy", "effectiveTime"])
        if bucket.value(at: ["versioning", "enabled"]) == false { bucket["versioning"] = nil }
        guard case .array(let rules)? = bucket.value(at: ["lifecycle", "rule"]) else { return }
        let dressed = rules.reversed().map { rule -> JSONValue in
            var rule = rule
            for name in ["matchesPrefix", "matchesSuffix", "matchesStorageClass"] {
                guard let names = rule.value(at: ["condition", name])?.arrayValue else { continue }
                rule.set(.array(names.reversed()), at: ["condition", name])
            }
            if rule.value(at: ["condition", "matchesSuffix"]) == nil {
                rule.set([], at: ["condition", "matchesSuffix"])
            }
            return rule
        }
        bucket.set(.array(dressed), at: ["lifecycle", "rule"])
    }
}
