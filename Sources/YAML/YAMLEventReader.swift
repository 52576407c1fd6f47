import CLibyaml

/// libyaml's events as Swift values.
final class YAMLEventReader {
    /// A place in the text, from 1.
    struct Mark {
        var line: Int
        var column: Int
    }

    enum Event {
        case documentStart
        case documentEnd
        case streamEnd
        case alias(String)
        case scalar(text: String, tag: String?, anchor: String?, isPlain: Bool)
        case sequenceStart(tag: String?, anchor: String?)
        case sequenceEnd
        case mappingStart(tag: String?, anchor: String?)
        case mappingEnd
    }

    /// libyaml keeps pointers into both: they stay where they are for the reader's life.
    private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    private let input: UnsafeMutableBufferPointer<UInt8>
    private let isUsable: Bool

    init(_ text: String) {
        let bytes = Array(text.utf8)
        input = .allocate(capacity: max(bytes.count, 1))
        _ = input.initialize(from: bytes)
        isUsable = yaml_parser_initialize(parser) == 1
        if isUsable { yaml_parser_set_input_string(parser, input.baseAddress, bytes.count) }
    }

    deinit {
        if isUsable { yaml_parser_delete(parser) }
        parser.deallocate()
        input.deallocate()
    }

    /// The next event and where it begins.
    func next() throws(YAMLError) -> (Event, Mark) {
        guard isUsable else { throw YAMLError(code: .tooLarge, message: "out of memory", line: 1, column: 1) }
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw problem }
            defer { yaml_event_delete(&event) }
            let mark = YAMLEventReader.mark(event.start_mark)
            if let known = try YAMLEventReader.convert(event, mark) { return (known, mark) }
        }
    }

    private static func convert(_ event: yaml_event_t, _ mark: Mark) throws(YAMLError) -> Event? {
        switch event.type {
        case YAML_DOCUMENT_START_EVENT: return .documentStart
        case YAML_DOCUMENT_END_EVENT: return .documentEnd
        case YAML_STREAM_END_EVENT: return .streamEnd
        case YAML_ALIAS_EVENT: return .alias(text(event.data.alias.anchor) ?? "")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            guard let value = String(validating: bytes, as: UTF8.self) else {
                throw YAMLError(code: .syntax, message: "not UTF-8", line: mark.line, column: mark.column)
            }
            return .scalar(
                text: value, tag: text(scalar.tag), anchor: text(scalar.anchor),
                isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            return .sequenceStart(tag: text(start.tag), anchor: text(start.anchor))
        case YAML_SEQUENCE_END_EVENT: return .sequenceEnd
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            return .mappingStart(tag: text(start.tag), anchor: text(start.anchor))
        case YAML_MAPPING_END_EVENT: return .mappingEnd
        default: return nil
        }
    }

    private var problem: YAMLError {
        let state = parser.pointee
        var message = state.problem.map { String(cString: $0) } ?? "not YAML"
        if let context = state.context { message += " (\(String(cString: context)))" }
        let isReader = state.error == YAML_READER_ERROR
        let mark = YAMLEventReader.mark(isReader ? state.mark : state.problem_mark)
        return YAMLError(code: .syntax, message: message, line: mark.line, column: mark.column)
    }

    private static func mark(_ mark: yaml_mark_t) -> Mark { Mark(line: mark.line + 1, column: mark.column + 1) }

    private static func text(_ pointer: UnsafeMutablePointer<UInt8>?) -> String? {
        pointer.map { String(cString: $0) }
    }
}
