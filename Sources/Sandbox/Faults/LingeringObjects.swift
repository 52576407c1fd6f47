import Encoding
import HTTP

/// What was deleted in the cloud and is still told by lists; reads of the thing itself say that it is gone.
struct LingeringObjects {
    private struct Ghost {
        /// The path of its list.
        var collection: String
        var item: JSONValue
        var until: Timestamp
    }

    private var ghosts: [Ghost] = []

    var isEmpty: Bool { ghosts.isEmpty }

    /// - Parameters:
    ///   - path: of the thing itself.
    ///   - item: as it was last read.
    mutating func add(path: String, item: JSONValue, until moment: Timestamp, now: Timestamp) {
        ghosts = ghosts.filter { $0.until > now }
        guard let slash = path.lastIndex(of: "/") else { return }
        ghosts.append(Ghost(collection: String(path[..<slash]), item: item, until: moment))
    }

    /// A list's first page with what lingers; every other reply as it is.
    func added(to reply: HTTPReply, of request: HTTPRequest, _ call: FaultCall, now: Timestamp) -> HTTPReply {
        guard call.side == .cloud, call.verb == "list", reply.status == 200, case .bytes(let bytes) = reply.body,
            request.url.queryValue("pageToken") == nil,
            var value = try? JSONValue(parsing: bytes)  // What is no JSON lists nothing.
        else { return reply }
        // Cloud Storage calls every list's entries the same.
        let member = ["buckets", "objects"].contains(call.resource) ? "items" : call.resource
        var items = value[member]?.arrayValue ?? []
        let names = Set(items.compactMap { $0["name"]?.stringValue })
        let prefix = request.url.queryValue("prefix") ?? ""
        let shown = ghosts.filter { ghost in
            let name = ghost.item["name"]?.stringValue ?? ""
            return ghost.collection == request.url.path && now < ghost.until && !names.contains(name)
                && name.hasPrefix(prefix)
        }
        if shown.isEmpty { return reply }
        items += shown.map(\.item)
        items.sort { ($0["name"]?.stringValue ?? "") < ($1["name"]?.stringValue ?? "") }
        value[member] = .array(items)
        var result = reply
        result.body = .bytes(value.serialized())
        return result
    }
}
