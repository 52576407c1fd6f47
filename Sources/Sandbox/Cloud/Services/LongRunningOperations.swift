internal import Encoding

/// google.longrunning operations of one API.
struct LongRunningOperations: Sendable {
    struct Operation: Sendable {
        /// `projects/P/locations/L/operations/…`.
        var name: String
        var metadata: JSONValue
        var outcome: Outcome?
    }

    enum Outcome: Sendable {
        case response(JSONValue)
        /// A google.rpc code.
        case failure(code: Int64, message: String)
    }

    private var serial = 0
    /// Oldest first; at most a thousand, as old operations disappear.
    private(set) var all: [Operation] = []

    /// - Parameter parent: empty where the API's operations have none.
    /// - Returns: the operation's name.
    mutating func begin(
        parent: String, prefix: String = "operation", metadata: JSONValue, now: Timestamp
    ) -> String {
        serial += 1
        let mark = StableHash.hex(UInt32(truncatingIfNeeded: StableHash.fnv1a("\(parent)/\(serial)")))
        let folder = parent.isEmpty ? "operations" : "\(parent)/operations"
        let name = "\(folder)/\(prefix)-\(now.seconds)\(now.nanoseconds / 1_000_000)-\(serial)-\(mark)"
        all.append(Operation(name: name, metadata: metadata))
        if all.count > 1000 { all.removeFirst(all.count - 1000) }
        return name
    }

    /// The first outcome stays.
    mutating func finish(_ name: String, _ outcome: Outcome) {
        guard let index = all.firstIndex(where: { $0.name == name }), all[index].outcome == nil else { return }
        all[index].outcome = outcome
    }

    mutating func remove(_ name: String) { all.removeAll { $0.name == name } }

    /// - Throws: 404.
    func json(_ name: String) throws(CloudError) -> JSONValue {
        guard let operation = all.first(where: { $0.name == name }) else {
            throw .resourceNotFound("Operation \"\(name)\" not found.")
        }
        return Self.json(operation)
    }

    /// The operations below a parent.
    func list(_ parent: String) -> [JSONValue] {
        all.filter { $0.name.hasPrefix("\(parent)/operations/") }.map(Self.json)
    }

    static func json(_ operation: Operation) -> JSONValue {
        var value: JSONValue = ["name": .string(operation.name)]
        value.setUnlessDefault("metadata", operation.metadata)
        switch operation.outcome {
        case .response(let response):
            value["done"] = true
            value["response"] = response
        case .failure(let code, let message):
            value["done"] = true
            value["error"] = ["code": .integer(code), "message": .string(message)]
        case nil: break
        }
        return value
    }
}
