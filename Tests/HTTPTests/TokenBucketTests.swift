import HTTP
import Testing

@Suite struct TokenBucketTests {
    @Test func `what is given back after a rest adds nothing to the burst`() {
        var bucket = TokenBucket(Rate(perSecond: 1, burst: 2))
        #expect(bucket.reserve(now: .zero) == .zero)
        let later = Duration.seconds(60)
        let isFull = bucket.isFull(now: later)
        #expect(isFull)
        bucket.giveBack()
        let waits = (0..<3).map { _ in bucket.reserve(now: later) }
        #expect(waits == [.zero, .zero, .seconds(1)])
    }
}
