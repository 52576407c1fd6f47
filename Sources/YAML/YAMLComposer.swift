import Encoding

/// Builds nodes from events: aliases, merge keys, duplicate keys, bounds.
struct YAMLComposer {
    private struct Anchored {
        var node: YAMLNode
        var nodeCount: Int
    }

    private typealias Mark = YAMLEventReader.Mark

    private var anchors: [String: Anchored] = [:]
    /// Nodes so far, aliases counted as what they stand for.
    private var nodeCount = 0

    mutating func documents(_ reader: YAMLEventReader) throws(YAMLError) -> [YAMLNode] {
        var documents: [YAMLNode] = []
        while true {
            let (event, mark) = try reader.next()
            switch event {
            case .streamEnd: return documents
            case .documentStart:
                anchors = [:]
                let (first, place) = try reader.next()
                let node = try node(first, place, reader, depth: 1)
                // An empty document reads as an empty plain scalar.
                if node.content != .scalar("", .null) { documents.append(node) }
            case .documentEnd: continue
            default: throw error(.syntax, "unexpected content", mark)
            }
        }
    }

    private mutating func node(
        _ event: YAMLEventReader.Event, _ mark: Mark, _ reader: YAMLEventReader, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        guard depth <= YAML.maximumDepth else {
            throw error(.tooDeep, "more than \(YAML.maximumDepth) levels of nesting", mark)
        }
        let before = nodeCount
        try count(1, mark)
        var node: YAMLNode
        let name: String?
        switch event {
        case .alias(let alias):
            guard let known = anchors[alias] else { throw error(.syntax, "unknown anchor '\(alias)'", mark) }
            try count(known.nodeCount, mark)
            node = known.node
            name = nil
        case .scalar(let text, let tag, let anchor, let isPlain):
            let value = try YAMLScalar.value(text, tag: tag, isPlain: isPlain, mark)
            node = YAMLNode(content: .scalar(text, value), line: mark.line, column: mark.column)
            name = anchor
        case .sequenceStart(let tag, let anchor):
            try check(tag, allowed: "seq", mark)
            let content = YAMLNode.Content.sequence(try sequence(reader, depth: depth))
            node = YAMLNode(content: content, line: mark.line, column: mark.column)
            name = anchor
        case .mappingStart(let tag, let anchor):
            try check(tag, allowed: "map", mark)
            let content = YAMLNode.Content.mapping(try mapping(reader, depth: depth))
            node = YAMLNode(content: content, line: mark.line, column: mark.column)
            name = anchor
        case .documentStart, .documentEnd, .streamEnd, .sequenceEnd, .mappingEnd:
            throw error(.syntax, "unexpected end", mark)
        }
        if let name { anchors[name] = Anchored(node: node, nodeCount: nodeCount - before) }
        return node
    }

    private mutating func sequence(_ reader: YAMLEventReader, depth: Int) throws(YAMLError) -> [YAMLNode] {
        var elements: [YAMLNode] = []
        while true {
            let (event, mark) = try reader.next()
            if case .sequenceEnd = event { return elements }
            elements.append(try node(event, mark, reader, depth: depth + 1))
        }
    }

    private mutating func mapping(_ reader: YAMLEventReader, depth: Int) throws(YAMLError) -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        var lines: [String: Int] = [:]
        var merged: [YAMLNode.Entry] = []
        while true {
            let (event, mark) = try reader.next()
            if case .mappingEnd = event { break }
            let isMerge = if case .scalar("<<", nil, _, isPlain: true) = event { true } else { false }
            let key = try node(event, mark, reader, depth: depth + 1)
            let (valueEvent, valueMark) = try reader.next()
            let value = try node(valueEvent, valueMark, reader, depth: depth + 1)
            if isMerge {
                merged += try mergedEntries(value, valueMark)
                continue
            }
            let name = try keyName(key, mark)
            if let line = lines[name] {
                throw error(.duplicateKey, "the key \"\(name)\" is on line \(line) already", mark)
            }
            lines[name] = mark.line
            entries.append(YAMLNode.Entry(name: name, key: key, value: value))
        }
        for entry in merged where lines[entry.name] == nil {
            lines[entry.name] = entry.key.line
            entries.append(entry)
        }
        return entries
    }

    /// The members that `<<` brings in: of a mapping, or of several, the first one winning.
    private func mergedEntries(_ value: YAMLNode, _ mark: Mark) throws(YAMLError) -> [YAMLNode.Entry] {
        switch value.content {
        case .mapping(let entries): return entries
        case .sequence(let elements):
            var entries: [YAMLNode.Entry] = []
            for element in elements {
                guard case .mapping(let more) = element.content else { break }
                entries += more
            }
            return entries
        case .scalar: throw error(.syntax, "'<<' needs a mapping", mark)
        }
    }

    /// JSON's keys are strings: numbers and booleans become their text, as in sigs.k8s.io/yaml.
    private func keyName(_ key: YAMLNode, _ mark: Mark) throws(YAMLError) -> String {
        guard case .scalar(_, let value) = key.content else {
            throw error(.unsupported, "a key must be a scalar", mark)
        }
        switch value {
        case .string(let text): return text
        case .bool(let flag): return flag ? "true" : "false"
        case .integer, .number: return value.serializedText()
        case .null, .array, .object: throw error(.unsupported, "a key must not be empty", mark)
        }
    }

    private func check(_ tag: String?, allowed: String, _ mark: Mark) throws(YAMLError) {
        guard let tag, tag != "!", tag != "tag:yaml.org,2002:\(allowed)" else { return }
        throw error(.unsupported, "the tag \(tag) is not supported", mark)
    }

    private mutating func count(_ more: Int, _ mark: Mark) throws(YAMLError) {
        nodeCount += more
        if nodeCount > YAML.maximumNodes { throw error(.tooLarge, "more than \(YAML.maximumNodes) values", mark) }
    }

    private func error(_ code: YAMLError.Code, _ message: String, _ mark: Mark) -> YAMLError {
        YAMLError(code: code, message: message, line: mark.line, column: mark.column)
    }
}
