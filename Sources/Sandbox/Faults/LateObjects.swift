import Encoding
import HTTP

/// What was made in the cloud and is not seen by reads yet.
struct LateObjects {
    private struct Key: Hashable {
        var resource: String
        var namespace: String
        var name: String

        init(_ call: FaultCall, name: String? = nil) {
            resource = call.resource
            namespace = call.namespace
            self.name = name ?? call.name
        }
    }

    private var moments: [Key: Timestamp] = [:]

    var isEmpty: Bool { moments.isEmpty }

    mutating func add(_ call: FaultCall, until moment: Timestamp, now: Timestamp) {
        moments = moments.filter { $0.value > now }
        if !call.name.isEmpty { moments[Key(call)] = moment }
    }

    /// Whether a read of one thing must say that there is none.
    func hides(_ call: FaultCall, now: Timestamp) -> Bool {
        call.side == .cloud && ["get", "get.media"].contains(call.verb) && isHidden(Key(call), now)
    }

    private func isHidden(_ key: Key, _ now: Timestamp) -> Bool { moments[key].map { now < $0 } ?? false }

    /// A list without what is not seen yet; every other reply as it is.
    func filtered(_ reply: HTTPReply, _ call: FaultCall, now: Timestamp) -> HTTPReply {
        guard call.side == .cloud, call.verb == "list", reply.status == 200, case .bytes(let bytes) = reply.body,
            var value = try? JSONValue(parsing: bytes)  // What is no JSON lists nothing.
        else { return reply }
        for (member, list) in value.objectValue ?? [:] {
            guard let items = list.arrayValue else { continue }
            let seen = items.filter { item in
                // Newer APIs have full names.
                let name = item["name"]?.stringValue?.split(separator: "/").last
                let whole = item["name"]?.stringValue ?? ""
                return !isHidden(Key(call, name: whole), now)
                    && !(call.resource != "objects" && isHidden(Key(call, name: name.map(String.init) ?? ""), now))
            }
            if seen.count < items.count {
                if seen.isEmpty { value[member] = nil } else { value[member] = .array(seen) }
            }
        }
        var result = reply
        result.body = .bytes(value.serialized())
        return result
    }
}
