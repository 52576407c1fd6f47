import ControllerRuntime
import Encoding
import Kubernetes
import Testing

private let before = Timestamp(seconds: 100)
private let now = Timestamp(seconds: 200, nanoseconds: 5)

private func condition(
    _ type: String, _ status: Condition.Status, _ message: String = "m", at time: Timestamp = before,
    generation: Int64? = 1
) -> Condition {
    Condition(
        type: type, status: status, reason: "R", message: message, lastTransitionTime: time,
        observedGeneration: generation)
}

@Suite struct ConditionsTests {
    @Test func `the time changes with the status only`() {
        let old = [condition("Ready", .true), condition("Stalled", .false)]
        let planned = [condition("Ready", .true, "new words", at: now), condition("Stalled", .true, at: now)]
        #expect(
            Conditions.merge(planned, over: old, generation: 2, now: now) == [
                condition("Ready", .true, "new words", at: before, generation: 2),
                condition("Stalled", .true, at: Timestamp(seconds: 200), generation: 2),
            ])
    }

    @Test func `what is not planned is gone, and the rest is sorted`() {
        let merged = Conditions.merge(
            [condition("Z", .true), condition("A", .true)], over: [condition("Old", .true)], generation: 1, now: now)
        #expect(merged.map(\.type) == ["A", "Z"])
    }

    @Test func `merging its own result changes nothing`() {
        let planned = [condition("Z", .true), condition("A", .unknown)]
        let once = Conditions.merge(planned, over: [], generation: 1, now: now)
        #expect(Conditions.merge(planned, over: once, generation: 1, now: now + .seconds(60)) == once)
    }

    @Test(arguments: [
        ("short", "short"), (String(repeating: "a", count: 1024), String(repeating: "a", count: 1024)),
        (String(repeating: "a", count: 1025), String(repeating: "a", count: 1021) + "…"),
        (String(repeating: "é", count: 600), String(repeating: "é", count: 510) + "…"), ("", ""),
        (String(repeating: "a", count: 1015) + " bcdef ghi", String(repeating: "a", count: 1015) + " bcdef…"),
        (String(repeating: "a", count: 1015) + " bcdefg hi", String(repeating: "a", count: 1015) + "…"),
    ])
    func `a message is cut between characters`(message: String, expected: String) {
        #expect(Conditions.cut(message) == expected)
        #expect(Conditions.cut(message).utf8.count <= Conditions.maximumMessageBytes)
    }
}
