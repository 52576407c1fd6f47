import ControllerRuntime
import Testing

@Suite struct BackoffTests {
    private let backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(300))

    @Test(arguments: [
        (0, Duration.milliseconds(500)), (1, .seconds(1)), (2, .seconds(2)), (9, .seconds(256)), (10, .seconds(300)),
        (31, .seconds(300)), (32, .seconds(300)), (1_000_000, .seconds(300)), (-1, .milliseconds(500)),
    ])
    func `the ceiling doubles up to the maximum`(attempt: Int, expected: Duration) {
        #expect(backoff.ceiling(attempt) == expected)
    }

    @Test func `each delay is a random share of its ceiling, and a reset begins again`() {
        var backoff = backoff
        #expect(backoff.next(random: 0.5) == .milliseconds(250))
        #expect(backoff.next(random: 0.5) == .milliseconds(500))
        #expect(backoff.next(random: 0) == .zero)
        backoff.reset()
        #expect(backoff.next(random: 1) == .milliseconds(500))
    }
}
