import Encoding

/// Parses an expression; everything that the evaluator does not know is refused here.
struct CELParser {
    private let tokens: [(token: CELToken, position: Int)]
    private var position = 0
    private var depth = 0
    private static let maximumDepth = 100

    static func parse(_ text: String) throws(CELError) -> CELExpression {
        var parser = CELParser(tokens: try CELLexer.tokens(text))
        let expression = try parser.conditional()
        guard parser.current == .end else { throw parser.unexpected() }
        return expression
    }

    private init(tokens: [(token: CELToken, position: Int)]) { self.tokens = tokens }

    private mutating func conditional() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= CELParser.maximumDepth else {
            throw CELError("Syntax error: the expression is nested too deeply", at: place)
        }
        let condition = try disjunction()
        let place = place
        guard consume("?") else { return condition }
        let whenTrue = try disjunction()
        try expect(":")
        return CELExpression(.conditional(condition, whenTrue, try conditional()), at: place)
    }

    private mutating func disjunction() throws(CELError) -> CELExpression {
        var left = try conjunction()
        while current == .sign("||") {
            let place = place
            position += 1
            left = CELExpression(.or(left, try conjunction()), at: place)
        }
        return left
    }

    private mutating func conjunction() throws(CELError) -> CELExpression {
        var left = try relation()
        while current == .sign("&&") {
            let place = place
            position += 1
            left = CELExpression(.and(left, try relation()), at: place)
        }
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
            let place = place
            position += 1
            left = CELExpression(.binary(symbol, left, try operand(&self)), at: place)
        }
        return left
    }

    private mutating func unary() throws(CELError) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= CELParser.maximumDepth else {
            throw CELError("Syntax error: the expression is nested too deeply", at: place)
        }
        let place = place
        if consume("!") { return CELExpression(.not(try unary()), at: place) }
        if consume("-") {
            switch current {
            case .literal(.integer(let value)):
                position += 1
                return CELExpression(.literal(.integer(-value)), at: place)
            case .literal(.number(let value)):
                position += 1
                return CELExpression(.literal(.number(-value)), at: place)
            default: return CELExpression(.negate(try unary()), at: place)
            }
        }
        return try member()
    }

    private mutating func member() throws(CELError) -> CELExpression {
        var expression = try primary()
        while true {
            let place = place
            if consume(".") {
                guard case .identifier(let name) = current else { throw unexpected() }
                position += 1
                let open = self.place
                if consume("(") {
                    expression = try method(name, on: expression, at: open)
                } else {
                    expression = CELExpression(.select(expression, CELParser.unescaped(name)), at: place)
                }
            } else if consume("[") {
                let index = try conditional()
                try expect("]")
                expression = CELExpression(.index(expression, index), at: place)
            } else {
                return expression
            }
        }
    }

    private mutating func primary() throws(CELError) -> CELExpression {
        let token = current
        let place = place
        position += 1
        switch token {
        case .literal(let value): return CELExpression(.literal(value), at: place)
        case .identifier(let name):
            let open = self.place
            return consume("(") ? try function(name, at: open) : CELExpression(.variable(name), at: place)
        case .sign("("):
            let inner = try conditional()
            try expect(")")
            return inner
        case .sign("["): return CELExpression(.list(try arguments(until: "]")), at: place)
        default:
            position -= 1
            throw unexpected()
        }
    }

    private mutating func function(_ name: String, at place: Int) throws(CELError) -> CELExpression {
        let arguments = try arguments(until: ")")
        if name == "has" {
            guard arguments.count == 1, case .select(let operand, let field) = arguments[0].kind else {
                throw CELError("invalid argument to has() macro", at: place)
            }
            return CELExpression(.has(operand, field), at: arguments[0].position)
        }
        guard let function = CELFunction(rawValue: name), function.isGlobal else { throw undeclared(name, at: place) }
        return try call(function, arguments, isMethod: false, at: place)
    }

    private mutating func method(
        _ name: String, on target: CELExpression, at place: Int
    ) throws(CELError) -> CELExpression {
        if let macro = CELMacro(rawValue: name) { return try comprehension(macro, over: target, at: place) }
        guard let function = CELFunction(rawValue: name), function.isMethod else { throw undeclared(name, at: place) }
        return try call(function, [target] + arguments(until: ")"), isMethod: true, at: place)
    }

    private func undeclared(_ name: String, at place: Int) -> CELError {
        CELError("undeclared reference to '\(name)' (in container '')", at: place)
    }

    private func call(
        _ function: CELFunction, _ arguments: [CELExpression], isMethod: Bool, at place: Int
    ) throws(CELError) -> CELExpression {
        guard arguments.count == function.arity else {
            throw CELError(
                "found no matching overload for '\(function.rawValue)' with \(arguments.count) arguments", at: place)
        }
        return CELExpression(.call(function, arguments, isMethod: isMethod), at: place)
    }

    private mutating func comprehension(
        _ macro: CELMacro, over range: CELExpression, at place: Int
    ) throws(CELError) -> CELExpression {
        guard case .identifier(let variable) = current else {
            throw CELError("argument is not an identifier", at: self.place)
        }
        position += 1
        try expect(",")
        let body = try conditional()
        try expect(")")
        return CELExpression(.comprehension(macro, range: range, variable: variable, body: body), at: place)
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

    private var current: CELToken { tokens[min(position, tokens.count - 1)].token }

    /// Where the current token begins.
    private var place: Int { tokens[min(position, tokens.count - 1)].position }

    private mutating func consume(_ sign: String) -> Bool {
        guard current == .sign(sign) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ sign: String) throws(CELError) {
        guard consume(sign) else { throw unexpected() }
    }

    private func unexpected() -> CELError {
        let found =
            switch current {
            case .end: "<EOF>"
            case .identifier(let name): name
            case .literal(let value): value.serializedText()
            case .sign(let sign): sign
            }
        return CELError("Syntax error: mismatched input '\(found)'", at: place)
    }
}
