public import HTTP

/// What limits look at in a call: all of it is in the method's id and the URL.
struct CallKind: Sendable, Hashable {
    /// Whether a call changes something.
    enum Verb: String, Sendable, Hashable, CaseIterable {
        case read
        case mutate
    }

    /// `container`: the first part of the method's id.
    var api: String
    var verb: Verb
    /// From the URL; empty where it names none (objects, token exchanges).
    var project: String
    /// `projects/P/locations/L/clusters/C` of a change that GKE makes one at a time; nil for every other call.
    var cluster: String?

    init(_ call: GoogleCall) {
        let parts = call.operation.split(separator: ".")
        api = parts.first.map(String.init) ?? ""
        verb = CallKind.verb(String(parts.last ?? ""), call.method)
        let segments = call.url.path.split(separator: "/").map(String.init)
        project = CallKind.value(after: "projects", in: segments) ?? call.url.queryValue("project") ?? ""
        guard api == "container", verb == .mutate, let location = CallKind.value(after: "locations", in: segments),
            let cluster = CallKind.value(after: "clusters", in: segments)
        else { return }
        let name = cluster.prefix { $0 != ":" }
        self.cluster = "projects/\(project)/locations/\(location)/clusters/\(name)"
    }

    /// Some methods ask with a POST.
    private static func verb(_ method: String, _ http: HTTPMethod) -> Verb {
        if http == .get || http == .head { return .read }
        let asking = ["get", "list", "query", "search", "test", "generate", "sign", "aggregated"]
        return asking.contains { method.hasPrefix($0) } ? .read : .mutate
    }

    private static func value(after name: String, in segments: [String]) -> String? {
        guard let index = segments.firstIndex(of: name), index + 1 < segments.count else { return nil }
        return segments[index + 1]
    }
}

/// For whom a call is made: callers of one name take turns with those of another where calls wait for one another, and
/// `TenantTokens` chooses the identity by it.
public enum CallOwner {
    @TaskLocal static var current = ""

    /// Binds the owner (a namespace) for the calls of `body` and of its child tasks.
    public static func named<Value: Sendable>(
        _ owner: String, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws(APIError) -> Value
    ) async throws(APIError) -> Value {
        let result: Result<Value, APIError> = await $current.withValue(
            owner,
            operation: {
                do throws(APIError) {
                    return .success(try await body())
                } catch {
                    return .failure(error)
                }
            }, isolation: isolation)
        return try result.get()
    }
}
