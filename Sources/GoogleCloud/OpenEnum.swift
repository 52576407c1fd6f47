/// One of Google's words: a known one, or one that is newer than this program. A new word is kept, never an error.
public enum OpenEnum<Known: RawRepresentable<String> & Sendable & Hashable>: Sendable, Hashable {
    case known(Known)
    case other(String)

    public init(_ text: String) { self = Known(rawValue: text).map(OpenEnum.known) ?? .other(text) }

    /// The word as it is on the wire.
    public var text: String {
        switch self {
        case .known(let word): word.rawValue
        case .other(let text): text
        }
    }
}

extension OpenEnum: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // A server that knows no word for a value sends its number. A failure only means: it is a word.
        if let number = try? container.decode(Int64.self) {
            self.init(String(number))
        } else {
            self.init(try container.decode(String.self))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
