import Encoding
import HTTP
import Synchronization

/// The verbs that RBAC refused to us, until the same call gets through. Lists and watches are not among them: their
/// watches report themselves.
final class PermissionLedger: Sendable {
    struct Permission: Hashable {
        var verb: String
        /// `trainingjobs.trainyard.dev/status`.
        var resource: String
    }

    /// There are not so many verbs and resources.
    static let maximumCount = 256

    private let refused = Mutex<Set<Permission>>([])

    /// As sentences. Events are for people: the operator is ready without.
    var missing: [String] {
        refused.withLock { $0 }.filter { $0.resource != "events.events.k8s.io" }.map {
            "RBAC does not allow to \($0.verb) \($0.resource)"
        }
    }

    func note(_ request: HTTPRequest, _ response: HTTPResponse) {
        let isRefused = response.status == 403
        guard isRefused || !refused.withLock(\.isEmpty), let permission = PermissionLedger.permission(for: request)
        else { return }
        if isRefused {
            // Quotas and terminating namespaces are 403 too. RBAC's sentence is the same since Kubernetes 1.5.
            let text = (try? JSONValue(parsing: response.body))?["message"]?.stringValue ?? ""
            guard text.contains("cannot \(permission.verb) resource") else { return }
            refused.withLock { if $0.count < Self.maximumCount { $0.insert(permission) } }
        } else if response.status != 401, response.status < 500 {
            refused.withLock { _ = $0.remove(permission) }
        }
    }

    /// nil for what is no request for objects, and for lists.
    static func permission(for request: HTTPRequest) -> Permission? {
        guard var segments = request.url.decodedSegments, segments.count >= 3 else { return nil }
        var group = ""
        switch segments[0] {
        case "api": segments.removeFirst(2)
        case "apis":
            group = segments[1]
            segments.removeFirst(3)
        default: return nil
        }
        if segments.count > 2, segments[0] == "namespaces" { segments.removeFirst(2) }
        guard let plural = segments.first else { return nil }
        let verb: String
        switch request.method {
        case .get, .head:
            guard segments.count > 1 else { return nil }
            verb = "get"
        case .post: verb = "create"
        case .put: verb = "update"
        case .patch: verb = "patch"
        case .delete: verb = "delete"
        }
        let name = group.isEmpty ? plural : "\(plural).\(group)"
        return Permission(verb: verb, resource: segments.count > 2 ? "\(name)/\(segments[2])" : name)
    }
}

/// Tells a ledger what became of each call.
struct PermissionTransport: HTTPTransport {
    private let base: any HTTPTransport
    private let ledger: PermissionLedger

    init(_ base: any HTTPTransport, ledger: PermissionLedger) {
        self.base = base
        self.ledger = ledger
    }

    func send(_ request: HTTPRequest) async throws(APIError) -> HTTPResponse {
        let response = try await base.send(request)
        ledger.note(request, response)
        return response
    }

    func open(_ request: HTTPRequest) async throws(APIError) -> HTTPStream { try await base.open(request) }
}
