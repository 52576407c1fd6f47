/// The order of an epoch's images: a permutation that follows from seed and epoch alone, so that a resumed run goes on
/// in the middle of it.
struct EpochOrder {
    let numbers: [UInt32]

    /// - Parameter epoch: from 0.
    init(seed: UInt64, epoch: Int, count: Int) {
        var random = RandomStream(seed: seed, purpose: 0x5EED_0000_0000 + UInt64(epoch))
        var numbers = (0..<UInt32(count)).map { $0 }
        // Fisher–Yates.
        for index in stride(from: count - 1, to: 0, by: -1) {
            numbers.swapAt(index, Int(random.next(below: UInt32(index + 1))))
        }
        self.numbers = numbers
    }

    /// The images of step `index`; the epoch's last batch may be smaller.
    func batch(_ index: Int, size: Int) -> ArraySlice<UInt32> {
        numbers[(index * size)..<min(numbers.count, (index + 1) * size)]
    }
}
