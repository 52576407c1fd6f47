import Encoding
import Kubernetes

/// What is written into the status of an object of ours that cannot be read: pure, on JSON, because nothing else is there.
enum UndecodableStatus {
    static let reason = "Undecodable"
    /// Condition types that the runtime takes a stand on; others stay.
    private static let types: Set<String> = ["Ready", "Reconciling", "Stalled"]

    /// What is wrong, for the user.
    static func sentence(_ message: String) -> String { "the operator cannot read this object: \(message)" }

    /// Which member is wrong; nil when none is.
    static func problem<Object: Decodable>(_ object: JSONValue, as type: Object.Type) -> String? {
        do throws(JSONError) {
            _ = try object.decode(type)
            return nil
        } catch {
            return error.message
        }
    }

    /// The merge patch, with the resource version as a precondition; nil when the status says so already, or the object
    /// is somebody else's business.
    static func patch(of object: JSONValue, message: String, now: Timestamp) -> JSONValue? {
        guard isOurs(object) else { return nil }
        let old = object.value(at: ["status", "conditions"])?.arrayValue ?? []
        let text = Conditions.cut(sentence(message))
        let generation = object.value(at: ["metadata", "generation"])?.integerValue
        let ours = [("Ready", "False"), ("Stalled", "True")].map {
            condition($0.0, $0.1, text, generation: generation, over: old, now: now)
        }
        let others = old.filter { !types.contains($0["type"]?.stringValue ?? "") }
        let conditions = (others + ours).sorted { type($0) < type($1) }
        guard conditions != old else { return nil }
        var metadata: [String: JSONValue] = [:]
        if let version = object.value(at: ["metadata", "resourceVersion"]) { metadata["resourceVersion"] = version }
        return ["metadata": .object(metadata), "status": ["conditions": .array(conditions)]]
    }

    /// False where `spec.managedBy` names another controller.
    private static func isOurs(_ object: JSONValue) -> Bool {
        guard let manager = object.value(at: ["spec", "managedBy"])?.stringValue else { return true }
        return manager.hasPrefix("trainyard.dev/")
    }

    private static func condition(
        _ type: String, _ status: String, _ message: String, generation: Int64?, over old: [JSONValue], now: Timestamp
    ) -> JSONValue {
        let previous = old.first { $0["type"]?.stringValue == type }
        let since = previous?["status"]?.stringValue == status ? previous?["lastTransitionTime"]?.stringValue : nil
        var condition: [String: JSONValue] = [
            "type": .string(type), "status": .string(status), "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": .string(since ?? now.wholeSeconds.description),
        ]
        if let generation { condition["observedGeneration"] = .integer(generation) }
        return .object(condition)
    }

    private static func type(_ condition: JSONValue) -> String { condition["type"]?.stringValue ?? "" }
}
