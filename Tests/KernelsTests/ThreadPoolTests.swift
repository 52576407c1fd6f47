import Synchronization
import Testing

@testable import Kernels

struct ThreadPoolTests {
    @Test(arguments: [1, 2, 5]) func `each chunk runs once, over many regions`(threadCount: Int) {
        let pool = ThreadPool(threadCount: threadCount)
        #expect(pool.threadCount == threadCount)
        let calls = Mutex([Int: Int]())
        for region in 0..<300 {
            let chunkCount = region % 7
            calls.withLock { $0 = [:] }
            pool.run(chunkCount) { chunk, thread in
                calls.withLock { $0[chunk, default: 0] += thread < threadCount ? 1 : 1000 }
            }
            let expected = Dictionary(uniqueKeysWithValues: (0..<chunkCount).map { ($0, 1) })
            #expect(calls.withLock { $0 } == expected)
        }
    }

    @Test(
        arguments: [("150000 100000", 1.5), ("max 100000", nil), ("", nil), ("-1 100000", nil)] as [(String, Double?)])
    func `the CPU quota is read as the kernel writes it`(text: String, expected: Double?) {
        #expect(Processors.quota(cpuMax: text) == expected)
    }
}
