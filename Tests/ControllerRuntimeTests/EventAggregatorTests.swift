import Encoding
import Kubernetes
import Testing

@testable import ControllerRuntime

private let start = Timestamp(seconds: 1_000_000)
private let widget = EventObject.Reference(
    apiVersion: "example.com/v1", kind: "Widget", namespace: "ns", name: "w", uid: "u1")

private func event(_ message: String = "made one") -> Event {
    Event(.normal, reason: "Made", action: "Make", message: message)
}

/// What was sent, in words.
private func word(_ command: EventAggregator.Command?) -> String {
    switch command {
    case nil: "nothing"
    case .create: "create"
    case .updateSeries(let event): "series \(event.series?.count ?? 0)"
    }
}

@Suite struct EventAggregatorTests {
    private func aggregator() -> EventAggregator {
        EventAggregator(reportingController: "trainyard.dev/operator", reportingInstance: "pod-1")
    }

    @Test func `an event says what the API server asks for`() throws {
        var aggregator = aggregator()
        guard case .create(let object) = aggregator.record(event(), regarding: widget, now: start) else {
            Issue.record("nothing was created")
            return
        }
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
        var aggregator = aggregator()
        let sent = [0, 1, 2, 10, 31, 40, 62].map { second in
            word(aggregator.record(event(), regarding: widget, now: start + .seconds(second)))
        }
        #expect(sent == ["create", "series 2", "nothing", "nothing", "series 5", "nothing", "series 7"])
    }

    @Test func `other words or another object are another event`() {
        var aggregator = aggregator()
        var other = widget
        other.uid = "u2"
        #expect(word(aggregator.record(event(), regarding: widget, now: start)) == "create")
        #expect(word(aggregator.record(event("made two"), regarding: widget, now: start)) == "create")
        #expect(word(aggregator.record(event(), regarding: other, now: start)) == "create")
    }

    @Test func `after a long silence it is a new event with a new name`() throws {
        var aggregator = aggregator()
        let first = aggregator.record(event(), regarding: widget, now: start)
        let second = aggregator.record(event(), regarding: widget, now: start + .seconds(361))
        guard case .create(let one) = first, case .create(let two) = second else {
            Issue.record("not two events: \(word(first)), \(word(second))")
            return
        }
        #expect(one.metadata.name != two.metadata.name)
    }

    @Test func `what it remembers is bounded`() {
        var aggregator = aggregator()
        for number in 0..<5_000 {
            let now = start + .milliseconds(number)
            #expect(word(aggregator.record(event("\(number)"), regarding: widget, now: now)) == "create")
        }
        let end = start + .seconds(5)
        #expect(word(aggregator.record(event("4999"), regarding: widget, now: end)) == "series 2")
        #expect(word(aggregator.record(event("0"), regarding: widget, now: end)) == "create")
    }

    @Test func `a long note and a long name are cut`() {
        var aggregator = aggregator()
        var long = widget
        long.name = String(repeating: "n", count: 253)
        let command = aggregator.record(event(String(repeating: "x", count: 5_000)), regarding: long, now: start)
        guard case .create(let object) = command else {
            Issue.record("nothing was created")
            return
        }
        #expect(object.metadata.name.utf8.count <= 253)
        #expect(object.note?.utf8.count == 1024)
    }
}
