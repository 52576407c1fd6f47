import Encoding

/// Later pages of lists: each token says from which revision and after which object, and all pages show one revision.
///
/// As with etcd, a page ends after `limit` objects that match, and objects that do not match count as remaining: a
/// filtered list's last page may be empty.
struct Continuations: Sendable {
    private struct Remainder: Sendable {
        /// Shared with the pages before: nothing is copied for a page.
        var items: ArraySlice<JSONValue>
        var expiry: Timestamp
    }

    private var remainders: [String: Remainder] = [:]
    /// Remainders kept at once; older ones answer 410, as after a compaction.
    private static let limit = 64

    /// Forgets all revisions but the current: what follows answers 410.
    mutating func expire() { remainders = [:] }

    mutating func firstPage(
        _ items: [JSONValue], filter: ObjectFilter, limit: Int, revision: Int64, now: Timestamp
    ) -> ObjectList {
        page(items[...], filter: filter, limit: limit, revision: revision, now: now)
    }

    /// - Parameter current: all objects of now, for a token that gave up its revision.
    mutating func page(
        _ token: String, limit: Int, filter: ObjectFilter, now: Timestamp,
        current objects: @autoclosure () -> [JSONValue], revision: Int64
    ) throws(StatusError) -> ObjectList {
        guard let place = Place(token) else {
            throw .badRequest("invalid continue token: continue key is not valid: illegal base64 data or no token")
        }
        guard place.revision >= 0 else {
            let items = objects()
            let start = items.firstIndex { Place.key(of: $0) >= place.start } ?? items.endIndex
            return page(items[start...], filter: filter, limit: limit, revision: revision, now: now)
        }
        guard let remainder = remainders[token], now < remainder.expiry else {
            remainders[token] = nil
            var error = StatusError.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    + "list without the continue parameter, or use the continue token in this response to retrieve the "
                    + "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                    + "objects that were created, modified, or deleted between the time the first chunk was returned "
                    + "and now may show up in the list.")
            error.continueToken = Place(revision: -1, start: place.start).token
            throw error
        }
        return page(remainder.items, filter: filter, limit: limit, revision: place.revision, now: now)
    }

    private mutating func page(
        _ items: ArraySlice<JSONValue>, filter: ObjectFilter, limit: Int, revision: Int64, now: Timestamp
    ) -> ObjectList {
        var metadata: JSONValue = ["resourceVersion": .string(String(revision))]
        var shown: [JSONValue] = []
        var end = items.startIndex
        while end < items.endIndex, limit <= 0 || shown.count < limit {
            if filter.matches(items[end]) { shown.append(items[end]) }
            end += 1
        }
        guard end < items.endIndex else { return ObjectList(items: shown, metadata: metadata) }
        let token = Place(revision: revision, start: Place.key(of: items[end])).token
        remainders[token] = Remainder(items: items[end...], expiry: now + .seconds(300))
        if remainders.count > Continuations.limit,
            let oldest = remainders.min(by: { $0.value.expiry < $1.value.expiry })
        {
            remainders[oldest.key] = nil
        }
        metadata["continue"] = .string(token)
        if filter.selectsAll { metadata["remainingItemCount"] = .integer(Int64(items.endIndex - end)) }
        return ObjectList(items: shown, metadata: metadata)
    }

    /// What a token says: base64url of JSON, as the API server's.
    private struct Place {
        /// -1: whatever is current.
        var revision: Int64
        /// `namespace/name` of the first object.
        var start: String

        init(revision: Int64, start: String) {
            self.revision = revision
            self.start = start
        }

        init?(_ token: String) {
            // What is no base64 or no JSON is no token.
            guard let bytes = Base64.decodeURL(token), let json = try? JSONValue(parsing: bytes),
                let revision = json["rv"]?.integerValue, let start = json["start"]?.stringValue
            else { return nil }
            self.init(revision: revision, start: start)
        }

        var token: String {
            let json: JSONValue = ["v": "meta.k8s.io/v1", "rv": .integer(revision), "start": .string(start)]
            return Base64.encodeURL(json.serialized())
        }

        static func key(of object: JSONValue) -> String { "\(object.objectNamespace)/\(object.objectName)" }
    }
}
