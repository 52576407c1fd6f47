import Encoding

/// Parses an expression; everything that the evaluator does not know is refused here.
struct CELParser {
    private let tokens: [CELToken]
    private var position = 0
    private var depth = 0
    private static let maximumDepth = 100

    static func parse(_ text: String) throws(CELError) -> CELExpression {
        var parser = CELParser(tokens: try CELLexer.tokens(text))
        let expression = try parser.conditional()
        guard parser.current == .end else { throw parser.unexpected() }
        return expression
    }

    private init(tokens: [CELToken]) { self.tokens = tokens }

    private mutating func conditional() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= CELParser.maximumDepth else { throw CELError("the expression is nested too deeply") }
        let condition = try disjunction()
        guard consume("?") else { return condition }
        let whenTrue = try disjunction()
        try expect(":")
        return .conditional(condition, whenTrue, try conditional())
    }

    private mutating func disjunction() throws(CELError) -> CELExpression {
        var left = try conjunction()
        while consume("||") { left = .or(left, try conjunction()) }
        return left
    }

    private mutating func conjunction() throws(CELError) -> CELExpression {
        var left = try relation()
        while consume("&&") { left = .and(left, try relation()) }
        return left
    }

    private mutating func relation() throws(CELError) -> CELExpression {
        try binary(["==", "!=", "<=", ">=", "<", ">", "in"]) { parser throws(CELError) in try parser.addition() }
    }

    private mutating func addition() throws(CELError) -> CELExpression {
        try binary(["+", "-"]) { parser throws(CELError) in try parser.multiplication() }
    }

    private mutating func multiplication() throws(CELError) -> CELExpression {
        try binary(["*", "/", "%"]) { parser throws(CELError) in try parser.unary() }
    }

    private mutating func binary(
        _ signs: [String], _ operand: (inout CELParser) throws(CELError) -> CELExpression
    ) throws(CELError) -> CELExpression {
        var left = try operand(&self)
        while case .sign(let sign) = current, signs.contains(sign), let symbol = CELOperator(rawValue: sign) {
            position += 1
            left = .binary(symbol, left, try operand(&self))
        }
        return left
    }

    private mutating func unary() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= CELParser.maximumDepth else { throw CELError("the expression is nested too deeply") }
        if consume("!") { return .not(try unary()) }
        if consume("-") {
            switch current {
            case .literal(.integer(let value)):
                position += 1
                return .literal(.integer(-value))
            case .literal(.number(let value)):
                position += 1
                return .literal(.number(-value))
            default: return .negate(try unary())
            }
        }
        return try member()
    }

    private mutating func member() throws(CELError) -> CELExpression {
        var expression = try primary()
        while true {
            if consume(".") {
                guard case .identifier(let name) = current else { throw unexpected() }
                position += 1
                expression =
                    consume("(") ? try method(name, on: expression) : .select(expression, CELParser.unescaped(name))
            } else if consume("[") {
                let index = try conditional()
                try expect("]")
                expression = .index(expression, index)
            } else {
                return expression
            }
        }
    }

    private mutating func primary() throws(CELError) -> CELExpression {
        let token = current
        position += 1
        switch token {
        case .literal(let value): return .literal(value)
        case .identifier(let name): return consume("(") ? try function(name) : .variable(name)
        case .sign("("):
            let inner = try conditional()
            try expect(")")
            return inner
        case .sign("["): return .list(try arguments(until: "]"))
        default:
            position -= 1
            throw unexpected()
        }
    }

    private mutating func function(_ name: String) throws(CELError) -> CELExpression {
        if name == "has" {
            let arguments = try arguments(until: ")")
            guard arguments.count == 1, case .select(let operand, let field) = arguments[0] else {
                throw CELError("invalid argument to has() macro")
            }
            return .has(operand, field)
        }
        let arguments = try arguments(until: ")")
        guard let function = CELFunction(rawValue: name), function.isGlobal else {
            throw CELError("undeclared reference to '\(name)' (in container '')")
        }
        return try call(function, arguments)
    }

    private mutating func method(_ name: String, on target: CELExpression) throws(CELError) -> CELExpression {
        if let macro = CELMacro(rawValue: name) { return try comprehension(macro, over: target) }
        guard let function = CELFunction(rawValue: name), function.isMethod else {
            throw CELError("undeclared reference to '\(name)' (in container '')")
        }
        return try call(function, [target] + arguments(until: ")"))
    }

    private func call(_ function: CELFunction, _ arguments: [CELExpression]) throws(CELError) -> CELExpression {
        guard arguments.count == function.arity else {
            throw CELError("found no matching overload for '\(function.rawValue)' with \(arguments.count) arguments")
        }
        return .call(function, arguments)
    }

    private mutating func comprehension(
        _ macro: CELMacro, over range: CELExpression
    ) throws(CELError) -> CELExpression {
        guard case .identifier(let variable) = current else { throw CELError("argument is not an identifier") }
        position += 1
        try expect(",")
        let body = try conditional()
        try expect(")")
        return .comprehension(macro, range: range, variable: variable, body: body)
    }

    private mutating func arguments(until close: String) throws(CELError) -> [CELExpression] {
        var arguments: [CELExpression] = []
        if consume(close) { return arguments }
        while true {
            arguments.append(try conditional())
            if consume(close) { return arguments }
            try expect(",")
            if close == "]", consume(close) { return arguments }
        }
    }

    /// Property names that CEL cannot write are escaped by Kubernetes' rules.
    private static func unescaped(_ name: String) -> String {
        guard name.contains("__") else { return name }
        let keywords = [
            "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if",
            "import", "let", "loop", "package", "namespace", "return",
        ]
        for keyword in keywords where name == "__\(keyword)__" { return keyword }
        var text = name
        for (escape, plain) in [("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__")] {
            text = text.split(separator: escape, omittingEmptySubsequences: false).joined(separator: plain)
        }
        return text
    }

    private var current: CELToken { tokens[min(position, tokens.count - 1)] }

    private mutating func consume(_ sign: String) -> Bool {
        guard current == .sign(sign) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ sign: String) throws(CELError) {
        guard consume(sign) else { throw unexpected() }
    }

    private func unexpected() -> CELError {
        switch current {
        case .end: CELError("Syntax error: unexpected end of the expression")
        case .identifier(let name): CELError("Syntax error: unexpected '\(name)'")
        case .literal(let value): CELError("Syntax error: unexpected \(value.serializedText())")
        case .sign(let sign): CELError("Syntax error: unexpected '\(sign)'")
        }
    }
}
