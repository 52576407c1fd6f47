import Testing

@testable import Training

struct FrameTests {
    @Test(arguments: [
        Frame(.hello, count: 17), Frame(.vote, value: 2, step: 1 << 40), Frame(.sum, count: 0xFFFF_FFFF, step: 3),
        Frame(.farewell, value: 77, count: 4096),
    ])
    func `a header says what it was made of`(frame: Frame) {
        #expect(frame.header.count == Frame.headerCount)
        #expect(Frame(header: frame.header) == frame)
    }

    @Test func `other bytes are no header`() {
        #expect(Frame(header: Array("GET / HTTP/1.1\r\nHost".utf8)) == nil)
        var header = Frame(.vote).header
        header[4] = 99
        #expect(Frame(header: header) == nil)
        #expect(Frame(header: []) == nil)
    }

    @Test func `losses keep every bit on their way`() {
        for sum in [0, -1.5, 1e300, Double.infinity] {
            let batch = BatchLoss(sum: sum, correctCount: 7, count: 1 << 33)
            #expect(BatchLoss(bytes: batch.bytes) == batch)
        }
        #expect(BatchLoss(bytes: BatchLoss(sum: .nan).bytes).sum.isNaN)
    }

    @Test(arguments: [1, 2, 3, 7, 256], [0, 1, 6, 100]) func `the ranks' parts are the whole, in order, and even`(
        size: Int, count: Int
    ) {
        let parts = (0..<size).map { World(WorldPlace(rank: $0, size: size), isStopping: { false }).slice(count) }
        #expect(parts.flatMap(Array.init) == Array(0..<count))
        #expect((parts.map(\.count).max() ?? 0) - (parts.map(\.count).min() ?? 0) <= 1)
    }
}
