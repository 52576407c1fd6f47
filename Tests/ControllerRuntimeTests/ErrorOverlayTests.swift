import Encoding
import HTTP
import Kubernetes
import Testing

@testable import ControllerRuntime

private let before = Timestamp(seconds: 100)
private let now = Timestamp(seconds: 200)

/// Conditions as text: `Type=Status/Reason@seconds`.
private func text(_ conditions: [Condition]) -> [String] {
    conditions.map { "\($0.type)=\($0.status.rawValue)/\($0.reason)@\($0.lastTransitionTime.seconds)" }
}

private func status(_ conditions: (String, Condition.Status, String)..., generation: Int64 = 1) -> Widget.Status {
    Widget.Status(
        observedGeneration: generation,
        conditions: conditions.map {
            Condition(
                type: $0.0, status: $0.1, reason: $0.2, message: "m", lastTransitionTime: before,
                observedGeneration: generation)
        })
}

private func error(_ code: APIError.Code, _ message: String = "no") -> APIError {
    APIError(code, operation: "GET things", message: message)
}

private func overlaid(_ error: APIError, planned: Widget.Status?, last: Widget.Status) -> Widget.Status {
    ErrorOverlay.apply(error, to: planned, last: last, generation: 2, now: now)
}

@Suite struct ErrorOverlayTests {
    private let ready = status(("Ready", .true, "Succeeded"))
    private let working = status(("Reconciling", .true, "Working"), ("Ready", .false, "Working"))

    @Test func `a passing failure shows as Ready False and in progress`() {
        let result = overlaid(error(.unavailable), planned: nil, last: ready)
        #expect(text(result.conditions) == ["Ready=False/Unavailable@200", "Reconciling=True/Unavailable@200"])
        #expect(result.conditions[0].message == "GET things: no")
    }

    @Test func `what needs the user shows as stalled`() {
        let result = overlaid(error(.forbidden), planned: nil, last: working)
        #expect(text(result.conditions) == ["Ready=False/PermissionDenied@100", "Stalled=True/PermissionDenied@200"])
    }

    @Test func `without a plan the generation is not claimed to be observed, and the rest stays`() {
        let last = status(("Ready", .true, "Succeeded"), ("Available", .true, "Serving"))
        let result = overlaid(error(.timeout), planned: nil, last: last)
        #expect(result.observedGeneration == 1)
        #expect(
            text(result.conditions) == [
                "Available=True/Serving@100", "Ready=False/Timeout@200", "Reconciling=True/Timeout@200",
            ])
        #expect(result.conditions.map(\.observedGeneration) == [1, 2, 2])
    }

    @Test func `a plan whose step failed is written with its generation and its other conditions`() {
        let planned = status(("Ready", .false, "Provisioning"), ("Reconciling", .true, "P"), ("Scheduled", .true, "S"))
        let result = overlaid(error(.rateLimited), planned: planned, last: working)
        #expect(result.observedGeneration == 2)
        #expect(
            text(result.conditions) == [
                "Ready=False/RateLimited@100", "Reconciling=True/RateLimited@100", "Scheduled=True/S@200",
            ])
    }

    @Test(arguments: ["Complete", "Failed"])
    func `a finished object keeps what it says`(outcome: String) {
        let finished = status(("Ready", .true, "Succeeded"), (outcome, .true, "Succeeded"))
        #expect(
            text(overlaid(error(.unavailable), planned: nil, last: finished).conditions) == text(finished.conditions))
    }

    @Test func `a finished object that is still releasing shows what blocks it`() {
        let releasing = status(
            ("Complete", .true, "Succeeded"), ("Ready", .false, "ReleasingCompute"), ("Reconciling", .true, "R"))
        let result = overlaid(error(.forbidden), planned: releasing, last: releasing)
        #expect(
            text(result.conditions) == [
                "Complete=True/Succeeded@100", "Ready=False/PermissionDenied@100", "Stalled=True/PermissionDenied@200",
            ])
    }

    @Test(arguments: [APIError.Code.conflict, .cancelled])
    func `what is tried again at once does not show`(code: APIError.Code) {
        #expect(overlaid(error(code), planned: nil, last: ready) == ready)
    }

    @Test func `the words of a passing failure stay, those of a lasting one are renewed`() {
        let first = overlaid(error(.unavailable, "try 1"), planned: nil, last: ready)
        #expect(overlaid(error(.unavailable, "try 2"), planned: nil, last: first) == first)
        let denied = overlaid(error(.forbidden, "needs a.get"), planned: nil, last: ready)
        let other = overlaid(error(.forbidden, "needs b.get"), planned: nil, last: denied)
        #expect(other.conditions.first(ofType: "Ready")?.message == "GET things: needs b.get")
    }

    @Test func `every code has a reason in CamelCase of its own`() {
        let reasons = APIError.Code.allCases.map(ErrorOverlay.reason)
        #expect(Set(reasons).count == reasons.count)
        #expect(reasons.allSatisfy { $0.first?.isUppercase == true && $0.allSatisfy(\.isLetter) })
    }

    @Test(arguments: [
        (APIError.Code.conflict, RetryTiming.atOnce), (.preconditionFailed, .atOnce), (.unavailable, .backoff),
        (.timeout, .backoff), (.rateLimited, .backoff), (.invalid, .whenChanged), (.forbidden, .slowly),
        (.unauthorized, .backoff), (.stockedOut, .slowly), (.cancelled, .never),
    ])
    func `the retry table`(code: APIError.Code, timing: RetryTiming) {
        #expect(RetryTable.timing(of: error(code)) == timing)
    }

    @Test func `the service's own wait is taken`() {
        let limited = APIError(.rateLimited, operation: "", message: "", retryAfter: .seconds(7))
        #expect(RetryTable.timing(of: limited) == .after(.seconds(7)))
    }
}
