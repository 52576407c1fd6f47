import Encoding
import Kubernetes
import Testing

@testable import ControllerRuntime

private let start = Timestamp(seconds: 1_000_000)
private let widget = EventObject.Reference(
    apiVersion: "example.com/v1", kind: "Widget", namespace: "ns", name: "w", uid: "u1")

private func event(_ message: String = "made one", _ reason: String = "Made") -> Event {
    Event(.normal, reason: reason, action: "Make", message: message)
}

extension EventAggregator {
    fileprivate init() { self.init(reportingController: "trainyard.dev/operator", reportingInstance: "pod-1") }

    fileprivate mutating func answer(
        _ event: Event, regarding: EventObject.Reference = widget, after seconds: Double = 0
    ) -> Answer {
        record(event, regarding: regarding, now: start + .seconds(seconds), uptime: .seconds(seconds))
    }

    /// What is sent, in words.
    fileprivate mutating func word(
        _ event: Event, regarding: EventObject.Reference = widget, after seconds: Double = 0
    ) -> String {
        switch answer(event, regarding: regarding, after: seconds) {
        case .send(.create): "create"
        case .send(.updateSeries(let event)): "series \(event.series?.count ?? 0)"
        case .counted: "nothing"
        case .spam: "spam"
        }
    }

    fileprivate mutating func created(
        _ event: Event, regarding: EventObject.Reference = widget, after seconds: Double = 0
    ) throws -> EventObject {
        guard case .send(.create(let object)) = answer(event, regarding: regarding, after: seconds) else {
            Issue.record("nothing was created")
            throw CancellationError()
        }
        return object
    }
}

@Suite struct EventAggregatorTests {
    @Test func `an event says what the API server asks for`() throws {
        var aggregator = EventAggregator()
        let object = try aggregator.created(event())
        #expect(object.metadata.name.hasPrefix("w."))
        #expect(object.metadata.name.utf8.count == 2 + 16)
        var expected = EventObject(
            metadata: ObjectMeta(name: object.metadata.name, namespace: "ns"), eventTime: MicroTime(start))
        expected.reportingController = "trainyard.dev/operator"
        expected.reportingInstance = "pod-1"
        expected.action = "Make"
        expected.reason = "Made"
        expected.regarding = widget
        expected.note = "made one"
        expected.type = "Normal"
        #expect(object == expected)
    }

    @Test func `repetitions become a series that is written now and then`() {
        var aggregator = EventAggregator()
        let sent = [0, 1, 2, 10, 31, 40, 62].map { aggregator.word(event(), after: $0) }
        #expect(sent == ["create", "series 2", "nothing", "nothing", "series 5", "nothing", "series 7"])
    }

    @Test func `other words or another object are another event`() {
        var aggregator = EventAggregator()
        var other = widget
        other.uid = "u2"
        #expect(aggregator.word(event()) == "create")
        #expect(aggregator.word(event("made two")) == "create")
        #expect(aggregator.word(event(), regarding: other) == "create")
    }

    @Test func `after a long silence it is a new event with a new name`() throws {
        var aggregator = EventAggregator()
        let one = try aggregator.created(event())
        let two = try aggregator.created(event(), after: 361)
        #expect(one.metadata.name != two.metadata.name)
    }

    @Test func `more than ten wordings of one reason become one event with a series`() throws {
        var aggregator = EventAggregator()
        for number in 1...10 { #expect(aggregator.word(event("no zone \(number)"), after: Double(number)) == "create") }
        let combined = try aggregator.created(event("no zone 11"), after: 11)
        #expect(combined.note == "(combined from similar events): no zone 11")
        #expect(aggregator.word(event("no zone 12"), after: 12) == "series 2")
        #expect(aggregator.word(event("no zone 13"), after: 13) == "nothing")
        #expect(aggregator.word(event("no zone 14"), after: 43) == "series 4")
        // One of the ten is still itself, another reason is another matter.
        #expect(aggregator.word(event("no zone 3"), after: 44) == "series 2")
        #expect(aggregator.word(event("no zone 15", "Other"), after: 45) == "create")
        // Ten quiet minutes later each wording counts again.
        #expect(try aggregator.created(event("no zone 16"), after: 700).note == "no zone 16")
    }

    @Test func `an object has twenty-five events, then one every five minutes`() {
        var aggregator = EventAggregator()
        var other = widget
        other.uid = "u2"
        let first = (0..<40).map { aggregator.word(event("e", "Reason\($0)")) }
        #expect(first.filter { $0 == "create" }.count == 25)
        #expect(Array(first.suffix(15)) == Array(repeating: "spam", count: 15))
        #expect(aggregator.word(event(), regarding: other) == "create")
        #expect(aggregator.word(event("e", "Late"), after: 299) == "spam")
        #expect(aggregator.word(event("e", "Late"), after: 301) == "create")
        #expect(aggregator.word(event("e", "Later"), after: 302) == "spam")
    }

    @Test func `a wall clock that is set back makes no new event of a repetition`() {
        var aggregator = EventAggregator()
        #expect(aggregator.word(event()) == "create")
        let answer = aggregator.record(
            event(), regarding: widget, now: start + .seconds(7200), uptime: .seconds(1))
        guard case .send(.updateSeries) = answer else {
            Issue.record("not a series: \(answer)")
            return
        }
    }

    @Test func `what it remembers is bounded`() {
        var aggregator = EventAggregator()
        for number in 0..<5_000 {
            var other = widget
            other.uid = "u\(number)"
            #expect(aggregator.word(event(), regarding: other, after: Double(number) / 1000) == "create")
        }
        var last = widget
        last.uid = "u4999"
        #expect(aggregator.word(event(), regarding: last, after: 5) == "series 2")
        last.uid = "u0"
        #expect(aggregator.word(event(), regarding: last, after: 5) == "create")
    }

    @Test func `a long note and a long name are cut`() throws {
        var aggregator = EventAggregator()
        var long = widget
        long.name = String(repeating: "n", count: 253)
        let object = try aggregator.created(event(String(repeating: "x", count: 5_000)), regarding: long)
        #expect(object.metadata.name.utf8.count <= 253)
        #expect(object.note?.utf8.count == 1024)
    }
}
