public import Encoding
public import HTTP

/// One event of a watch; its object is not decoded yet.
public enum WatchEvent: Sendable, Equatable {
    case added(JSONElement)
    case modified(JSONElement)
    case deleted(JSONElement)
    /// Everything up to this resource version has been sent.
    ///
    /// - endsInitialEvents: the objects that were there when the watch began have all been sent.
    case bookmark(resourceVersion: String, endsInitialEvents: Bool)
    /// The server ends the watch; `.expired` means: list again.
    case error(APIError)

    /// Reads one line of a watch.
    ///
    /// - Throws: `.malformedResponse`.
    init(line: [UInt8], operation: String) throws(APIError) {
        let root: JSONElement
        do throws(JSONError) {
            root = try JSONText(parsing: line).root
        } catch {
            throw APIError(malformed: "a watch event: \(error.description)", operation: operation)
        }
        guard let type = root["type"]?.stringValue, let object = root["object"] else {
            throw APIError(malformed: "a watch event without a type or an object", operation: operation)
        }
        switch type {
        case "ADDED": self = .added(object)
        case "MODIFIED": self = .modified(object)
        case "DELETED": self = .deleted(object)
        case "BOOKMARK":
            guard let metadata = object["metadata"], let version = metadata["resourceVersion"]?.stringValue else {
                throw APIError(malformed: "a bookmark without resourceVersion", operation: operation)
            }
            let mark = metadata.value(at: ["annotations", "k8s.io/initial-events-end"])?.stringValue
            self = .bookmark(resourceVersion: version, endsInitialEvents: mark == "true")
        case "ERROR":
            let status = object.value
            let code = Int(status["code"]?.integerValue ?? 500)
            self = .error(APIError(status: status, httpStatus: code, retryAfterSeconds: nil, operation: operation))
        default: throw APIError(malformed: "a watch event of an unknown type", operation: operation)
        }
    }
}
