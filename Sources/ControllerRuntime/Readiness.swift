import HTTP
import Kubernetes

/// What is wrong with a watch, in words that say what to do.
enum Readiness {
    /// A kind whose first list has not come.
    static func unlisted(_ type: ResourceType, _ error: APIError?) -> String {
        guard let error else { return "no complete list of \(type.name) yet" }
        return reason(type, error) ?? "no complete list of \(type.name) yet: \(error.description)"
    }

    /// A kind that was listed before and cannot be watched now; nil when that passes by itself.
    static func unwatched(_ type: ResourceType, _ error: APIError) -> String? {
        reason(type, error)
            ?? (ErrorOverlay.needsUser(error) ? "\(type.name) cannot be watched: \(error.description)" : nil)
    }

    private static func reason(_ type: ResourceType, _ error: APIError) -> String? {
        switch error.code {
        case .notFound:
            (isBuiltIn(type) ? "the API server does not serve \(type.name)" : "the CRD \(type.name) is not installed")
                + ": \(error.description)"
        case .forbidden:
            "RBAC does not allow to \(error.operation.hasPrefix("WATCH") ? "watch" : "list") \(type.name): "
                + error.description
        case .unauthorized: "the API server does not take the credentials: \(error.description)"
        default: nil
        }
    }

    /// Kubernetes' own groups have no dot, or end in `k8s.io`.
    private static func isBuiltIn(_ type: ResourceType) -> Bool {
        !type.group.contains(".") || type.group.hasSuffix("k8s.io")
    }
}
