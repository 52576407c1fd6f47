import KernelLoops

/// Float32 on the processor: Winograd's or direct convolution and packed matrix products, in the widest vectors that
/// the machine has, on a fixed pool of threads.
///
/// Work is cut into chunks by shape alone, and sums over chunks are taken in chunk order: results are the same bits for
/// every number of threads and for every width of vectors.
public final class CPUBackend: Backend {
    /// `cpu-avx2`, `cpu-avx512`, …
    public var name: String { "cpu-" + loops.name }
    let loops: LoopTable
    let pool: ThreadPool
    private var scratch: [ScratchKey: AlignedMemory] = [:]

    /// What a piece of scratch memory is for; contents never outlive one operation.
    enum ScratchKey: Hashable {
        case packedWeights
        case offsets
        case columns
        case partialSums
        case partGradients
        case bias
        case thread(Int)
    }

    /// - Parameter threadCount: 1 … 256; by default as many as the process may use.
    public convenience init(threadCount: Int = Processors.usableCount) {
        self.init(threadCount: threadCount, loops: Loops.usable[0])
    }

    init(threadCount: Int, loops: LoopTable) {
        self.loops = loops
        pool = ThreadPool(threadCount: threadCount)
    }

    public var threadCount: Int { pool.threadCount }

    /// Scratch memory of at least `count` floats with any contents; grows only when a larger shape comes.
    func memory(_ key: ScratchKey, _ count: Int) -> UnsafeMutablePointer<Float> {
        if let memory = scratch[key], memory.count >= count { return memory.floats }
        let memory = AlignedMemory(floats: count)
        scratch[key] = memory
        return memory.floats
    }

    /// Scratch memory for a table of `count` offsets.
    func offsetTable(_ key: ScratchKey, _ count: Int) -> UnsafeMutablePointer<Int32> {
        UnsafeMutableRawPointer(memory(key, count)).assumingMemoryBound(to: Int32.self)
    }

    /// One piece of scratch memory for each thread, `stride` floats apart.
    func threadMemory(_ count: Int) -> ThreadScratch {
        let stride = (count + AlignedMemory.slack + 15) & ~15
        return ThreadScratch(base: memory(.thread(0), stride * pool.threadCount), stride: stride)
    }
}

/// Scratch memory by thread.
struct ThreadScratch {
    let base: UnsafeMutablePointer<Float>
    let stride: Int

    subscript(thread: Int) -> UnsafeMutablePointer<Float> { base + thread * stride }

    func clear(threadCount: Int) { base.update(repeating: 0, count: stride * threadCount) }
}
