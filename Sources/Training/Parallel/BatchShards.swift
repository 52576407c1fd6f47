/// How a batch's gradient is added up: in parts that follow from the batch's size alone, pairwise as a binary tree.
///
/// Float32 sums depend on their order, and training turns a difference in the last bit into one in the fourth digit
/// within a hundred steps. The parts and the tree are the same however many processes share the batch, as long as their
/// number is a power of two and no more than the parts: then one process and several make the same model, bit for bit.
struct BatchShards: Sendable, Hashable {
    /// A power of two, or one for each process where that does not fit.
    let count: Int

    /// Fewer images would spend their time with partial sums.
    static let minimumImages = 32

    /// - Parameter batchSize: of all processes.
    init(batchSize: Int, worldSize: Int) {
        var count = 1
        while 2 * count * Self.minimumImages <= batchSize { count *= 2 }
        self.count = worldSize <= count && worldSize & (worldSize - 1) == 0 ? count : worldSize
    }

    /// A process's parts.
    func range(of place: WorldPlace) -> Range<Int> {
        (count / place.size * place.rank)..<(count / place.size * (place.rank + 1))
    }
}
