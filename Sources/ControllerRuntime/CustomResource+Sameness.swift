import Kubernetes

extension CustomResource {
    /// Whether a plan would see the same: only the version may differ, and annotations that are not ours. An edit of the
    /// spec shows in the generation.
    func isSameToPlans(as other: Self) -> Bool {
        comparableMetadata == other.comparableMetadata && status == other.status
    }

    private var comparableMetadata: ObjectMeta {
        var comparable = metadata
        comparable.resourceVersion = nil
        comparable.annotations = (metadata.annotations ?? [:]).filter { $0.key.contains("trainyard.dev/") }
        return comparable
    }
}
