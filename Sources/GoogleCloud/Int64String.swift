/// An int64 or uint64 of Google's JSON: a decimal string on the wire, absent when zero. Numbers are read too.
@propertyWrapper
public struct Int64String: Codable, Sendable, Hashable {
    public var wrappedValue: Int64

    public init(wrappedValue: Int64) { self.wrappedValue = wrappedValue }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {  // A failure only means: it is a string.
            self.init(wrappedValue: number)
            return
        }
        guard let number = Int64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a 64-bit integer")
        }
        self.init(wrappedValue: number)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(wrappedValue))
    }
}

extension KeyedDecodingContainer {
    /// Synthesized `init(from:)` of this module's types call this: an absent member is zero.
    func decode(_ type: Int64String.Type, forKey key: Key) throws -> Int64String {
        try decodeIfPresent(type, forKey: key) ?? Int64String(wrappedValue: 0)
    }
}
