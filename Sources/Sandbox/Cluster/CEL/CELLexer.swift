import Encoding

/// A token of a CEL expression.
enum CELToken: Sendable, Hashable {
    case identifier(String)
    case literal(JSONValue)
    /// An operator or punctuation.
    case sign(String)
    case end
}

/// Splits an expression's text into tokens.
struct CELLexer {
    private let scalars: [Unicode.Scalar]
    private var position = 0

    /// The tokens with their places.
    static func tokens(_ text: String) throws(CELError) -> [(token: CELToken, position: Int)] {
        var lexer = CELLexer(scalars: Array(text.unicodeScalars))
        var tokens: [(token: CELToken, position: Int)] = []
        while true {
            lexer.skipSpace()
            let start = lexer.position
            do throws(CELError) {
                tokens.append((try lexer.next(), start))
            } catch {
                throw CELError("Syntax error: \(error.message)", at: start)
            }
            if tokens.last?.token == .end { return tokens }
        }
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private mutating func skipSpace() {
        while let scalar = peek {
            if scalar.properties.isWhitespace {
                position += 1
            } else if scalar == "/", position + 1 < scalars.count, scalars[position + 1] == "/" {
                while let next = peek, next != "\n" { position += 1 }
            } else {
                return
            }
        }
    }

    private mutating func next() throws(CELError) -> CELToken {
        guard let scalar = peek else { return .end }
        switch scalar {
        case "a"..."z", "A"..."Z", "_": return try word()
        case "0"..."9": return try number()
        case "\"", "'": return .literal(.string(try string(isRaw: false)))
        default: return try sign()
        }
    }

    private mutating func word() throws(CELError) -> CELToken {
        let start = position
        while let scalar = peek, ScalarSet.word.contains(scalar) { position += 1 }
        let text = String(String.UnicodeScalarView(scalars[start..<position]))
        if text == "r" || text == "R", peek == "'" || peek == "\"" {
            return .literal(.string(try string(isRaw: true)))
        }
        switch text {
        case "true": return .literal(true)
        case "false": return .literal(false)
        case "null": return .literal(.null)
        case "in": return .sign("in")
        default: return .identifier(text)
        }
    }

    private mutating func number() throws(CELError) -> CELToken {
        let start = position
        if peek == "0", position + 1 < scalars.count, scalars[position + 1] == "x" {
            position += 2
            while let scalar = peek, scalar.properties.isASCIIHexDigit { position += 1 }
            let digits = String(String.UnicodeScalarView(scalars[(start + 2)..<position]))
            guard let value = Int64(digits, radix: 16) else { throw CELError("a number out of range") }
            return .literal(.integer(value))
        }
        skipDigits()
        var isInteger = true
        if peek == ".", position + 1 < scalars.count, ScalarSet.digits.contains(scalars[position + 1]) {
            isInteger = false
            position += 1
            skipDigits()
        }
        if peek == "e" || peek == "E" {
            isInteger = false
            position += 1
            if peek == "+" || peek == "-" { position += 1 }
            skipDigits()
        }
        if peek == "u" || peek == "U" { throw CELError("unsigned literals are not supported") }
        let text = String(String.UnicodeScalarView(scalars[start..<position]))
        if isInteger, let value = Int64(text) { return .literal(.integer(value)) }
        guard !isInteger, let value = Double(text) else { throw CELError("a number out of range: \(text)") }
        return .literal(.number(value))
    }

    private mutating func skipDigits() {
        while let scalar = peek, ScalarSet.digits.contains(scalar) { position += 1 }
    }

    private mutating func string(isRaw: Bool) throws(CELError) -> String {
        let quote = scalars[position]
        position += 1
        guard !(peek == quote && position + 1 < scalars.count && scalars[position + 1] == quote) else {
            throw CELError("triple-quoted strings are not supported")
        }
        var text = String.UnicodeScalarView()
        while let scalar = peek {
            position += 1
            switch scalar {
            case quote: return String(text)
            case "\\" where !isRaw: text.append(try escape())
            case "\n", "\r": throw CELError("a line break in a string")
            default: text.append(scalar)
            }
        }
        throw CELError("a string without an end")
    }

    private mutating func escape() throws(CELError) -> Unicode.Scalar {
        guard let scalar = peek else { throw CELError("a string without an end") }
        position += 1
        switch scalar {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "\\", "\"", "'", "`", "?": return scalar
        case "x": return try hexadecimal(2)
        case "u": return try hexadecimal(4)
        default: throw CELError("an unknown escape \\\(scalar)")
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(CELError) -> Unicode.Scalar {
        guard position + count <= scalars.count else { throw CELError("a short escape") }
        let digits = String(String.UnicodeScalarView(scalars[position..<(position + count)]))
        position += count
        guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
            throw CELError("a bad escape")
        }
        return scalar
    }

    private mutating func sign() throws(CELError) -> CELToken {
        let two = position + 1 < scalars.count ? "\(scalars[position])\(scalars[position + 1])" : ""
        if ["&&", "||", "==", "!=", "<=", ">="].contains(two) {
            position += 2
            return .sign(two)
        }
        let one = String(scalars[position])
        guard "()[].,!<>?:+-*/%".contains(one) else { throw CELError("token recognition error at: '\(one)'") }
        position += 1
        return .sign(one)
    }

    private var peek: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }
}
