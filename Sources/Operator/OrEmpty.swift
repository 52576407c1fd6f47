/// A list of a status that reads as empty when it is absent, and is left out when it is empty.
@propertyWrapper
public struct OrEmpty<Element: Codable & Sendable & Hashable>: Codable, Sendable, Hashable {
    public var wrappedValue: [Element]

    public init(wrappedValue: [Element]) {
        self.wrappedValue = wrappedValue
    }

    public init(from decoder: any Decoder) throws {
        wrappedValue = try [Element](from: decoder)
    }

    public func encode(to encoder: any Encoder) throws {
        try wrappedValue.encode(to: encoder)
    }
}

extension KeyedDecodingContainer {
    /// Chosen by synthesized decoding for every `OrEmpty` property.
    func decode<Element>(_ type: OrEmpty<Element>.Type, forKey key: Key) throws -> OrEmpty<Element> {
        OrEmpty(wrappedValue: try decodeIfPresent([Element].self, forKey: key) ?? [])
    }
}

extension KeyedEncodingContainer {
    /// Chosen by synthesized encoding for every `OrEmpty` property.
    mutating func encode<Element>(_ list: OrEmpty<Element>, forKey key: Key) throws {
        guard !list.wrappedValue.isEmpty else { return }
        try encode(list.wrappedValue, forKey: key)
    }
}
