import Encoding

/// Something to tell in an event.
struct ClusterEvent: Sendable, Hashable {
    /// `involvedObject`: apiVersion, kind, namespace, name, uid.
    var about: JSONValue
    var isWarning: Bool
    var reason: String
    var message: String
    /// `kubelet`, `default-scheduler`, `job-controller`, …
    var component: String
    var host: String?

    init(
        about: JSONValue, isWarning: Bool = false, reason: String, message: String, component: String,
        host: String? = nil
    ) {
        self.about = about
        self.isWarning = isWarning
        self.reason = reason
        self.message = message
        self.component = component
        self.host = host
    }

    /// The reference part of an object.
    static func reference(_ object: JSONValue, apiVersion: String, kind: String) -> JSONValue {
        var reference: JSONValue = ["apiVersion": .string(apiVersion), "kind": .string(kind)]
        for key in ["namespace", "name", "uid"] {
            reference[key] = object.value(at: ["metadata", key])
        }
        return reference
    }
}

/// Writes core/v1 events; the same event again raises the count of the first, as client-go does.
struct EventRecorder: Sendable {
    private struct Written: Sendable {
        let path: [String]
        let sequence: Int
        var count: Int64
    }

    private static let rememberedCount = 1024
    private var written: [ClusterEvent: Written] = [:]
    private var sequence = 0

    /// The request that records an event.
    mutating func write(for event: ClusterEvent, now: Timestamp) -> ClusterWrite {
        let time = JSONValue.string(now.wholeSeconds.description)
        if var known = written[event] {
            known.count += 1
            written[event] = known
            return .merge(known.path, ["count": .integer(known.count), "lastTimestamp": time])
        }
        sequence += 1
        let namespace = event.about["namespace"]?.stringValue ?? "default"
        let digits = String(UInt64(bitPattern: now.seconds) << 20 | UInt64(sequence), radix: 16)
        let name = "\(event.about["name"]?.stringValue ?? "unknown").\(digits)"
        forgetOldest()
        written[event] = Written(path: ClusterPath.events(namespace) + [name], sequence: sequence, count: 1)
        return .create(ClusterPath.events(namespace), object(event, name: name, namespace: namespace, time: time))
    }

    private mutating func forgetOldest() {
        guard written.count >= EventRecorder.rememberedCount else { return }
        let oldest = written.min { $0.value.sequence < $1.value.sequence }
        if let oldest { written[oldest.key] = nil }
    }

    private func object(
        _ event: ClusterEvent, name: String, namespace: String, time: JSONValue
    ) -> JSONValue {
        var source: JSONValue = ["component": .string(event.component)]
        if let host = event.host { source["host"] = .string(host) }
        return [
            "apiVersion": "v1", "kind": "Event",
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "involvedObject": event.about,
            "type": .string(event.isWarning ? "Warning" : "Normal"),
            "reason": .string(event.reason), "message": .string(event.message),
            "source": source, "reportingComponent": .string(event.component),
            "reportingInstance": .string(event.host ?? ""),
            "firstTimestamp": time, "lastTimestamp": time, "count": 1,
        ]
    }
}
