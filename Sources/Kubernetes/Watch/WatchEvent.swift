public import Encoding
public import HTTP

/// One event of a watch.
public enum WatchEvent: Sendable, Hashable {
    case added(JSONValue)
    case modified(JSONValue)
    case deleted(JSONValue)
    /// Everything up to this resource version has been sent.
    case bookmark(resourceVersion: String)
    /// The server ends the watch; `.expired` means: list again.
    case error(APIError)

    /// Reads one line of a watch.
    ///
    /// - Throws: `.malformedResponse`.
    init(line: some Collection<UInt8>, operation: String) throws(APIError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONValue(parsing: line)
        } catch {
            throw APIError(malformed: "a watch event: \(error.description)", operation: operation)
        }
        let object = value["object"] ?? .null
        switch value["type"]?.stringValue {
        case "ADDED": self = .added(object)
        case "MODIFIED": self = .modified(object)
        case "DELETED": self = .deleted(object)
        case "BOOKMARK":
            guard let version = object.value(at: ["metadata", "resourceVersion"])?.stringValue else {
                throw APIError(malformed: "a bookmark without resourceVersion", operation: operation)
            }
            self = .bookmark(resourceVersion: version)
        case "ERROR":
            let code = Int(object["code"]?.integerValue ?? 500)
            self = .error(
                APIError(status: object, httpStatus: code, retryAfterSeconds: nil, operation: operation))
        default: throw APIError(malformed: "a watch event of an unknown type", operation: operation)
        }
    }
}
