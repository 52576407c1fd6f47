import Testing

@testable import Training

struct RandomStreamTests {
    @Test func `the numbers of a seed never change`() {
        var stream = RandomStream(seed: 1, purpose: 2)
        #expect(
            [stream.next(), stream.next(), stream.next()] == [
                5_196_188_657_185_181_188, 5_005_007_431_957_806_747, 13_825_384_577_461_178_096,
            ])
    }

    @Test func `bounded numbers stay below their bound and reach all values`() {
        var stream = RandomStream(seed: 3, purpose: 4)
        #expect(Set((0..<200).map { _ in stream.next(below: 7) }) == Set(0..<7))
        #expect(stream.next(below: 1) == 0)
    }

    @Test func `uniform numbers lie within their bound, on both sides, with mean near 0`() {
        var stream = RandomStream(seed: 5, purpose: 6)
        let numbers = (0..<10_000).map { _ in stream.uniform(0.5) }
        #expect(numbers.allSatisfy { $0 >= -0.5 && $0 < 0.5 })
        #expect(abs(numbers.reduce(0, +) / 10_000) < 0.01)
    }

    @Test(arguments: [1, 2, 10, 1000]) func `an epoch's order holds each image once`(count: Int) {
        let order = EpochOrder(seed: 9, epoch: 0, count: count)
        #expect(order.numbers.sorted() == Array(0..<UInt32(count)))
    }

    @Test func `the order follows from seed and epoch alone`() {
        let order = EpochOrder(seed: 9, epoch: 3, count: 100).numbers
        #expect(EpochOrder(seed: 9, epoch: 3, count: 100).numbers == order)
        #expect(EpochOrder(seed: 9, epoch: 4, count: 100).numbers != order)
        #expect(EpochOrder(seed: 10, epoch: 3, count: 100).numbers != order)
    }

    @Test func `the last batch of an epoch may be smaller`() {
        let order = EpochOrder(seed: 1, epoch: 0, count: 10)
        #expect((0..<3).map { order.batch($0, size: 4).count } == [4, 4, 2])
    }
}
