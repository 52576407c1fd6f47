/// How a batch's weight gradients are added up: in parts of neighbouring images, the parts pairwise as a binary tree.
///
/// The whole batch has `partCount` parts; a backend call works on those in `range`, whose images lie one after the
/// other. The sums of a part, and of a half of the tree, are the same bits wherever they are made: so processes that
/// share a batch can add up what one process alone would have.
public struct BatchParts: Sendable, Hashable {
    /// Of the whole batch; gradients are those of the mean over them.
    public let batchCount: Int
    /// Of the whole batch; at least 1.
    public let partCount: Int
    public let range: Range<Int>

    /// - Parameter range: not empty, within 0 ..< partCount.
    public init(batchCount: Int, partCount: Int, range: Range<Int>) {
        self.batchCount = batchCount
        self.partCount = partCount
        self.range = range
    }

    /// A batch in one part.
    public init(_ count: Int) { self.init(batchCount: count, partCount: 1, range: 0..<1) }

    /// Of the whole batch, before a part.
    private func start(_ part: Int) -> Int { batchCount * part / partCount }

    /// The number of the call's first image in the whole batch.
    public var first: Int { start(range.lowerBound) }

    /// Images of the call.
    public var count: Int { start(range.upperBound) - start(range.lowerBound) }

    /// A part's images, counted from the call's first.
    public func images(_ part: Int) -> Range<Int> {
        (start(part) - start(range.lowerBound))..<(start(part + 1) - start(range.lowerBound))
    }

    /// The most images of a part.
    var largest: Int { range.reduce(0) { max($0, images($1).count) } }

    /// The two ranges whose sums make this one's; nil for a single part.
    public static func halves(_ range: Range<Int>) -> (left: Range<Int>, right: Range<Int>)? {
        guard range.count > 1 else { return nil }
        let middle = range.lowerBound + range.count / 2
        return (range.lowerBound..<middle, middle..<range.upperBound)
    }

    /// How many sums wait at once for their other half.
    var depth: Int {
        var depth = 0
        while 1 << depth < range.count { depth += 1 }
        return depth
    }

    /// target = the sum over the parts in `range`, `count` floats.
    ///
    /// - scratch: depth · count floats.
    /// - Parameter sum: writes a part's sum.
    func addUp(
        _ range: Range<Int>, count: Int, into target: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>, _ sum: (_ part: Int, _ target: UnsafeMutablePointer<Float>) -> Void
    ) {
        guard let (left, right) = Self.halves(range) else { return sum(range.lowerBound, target) }
        addUp(left, count: count, into: target, scratch: scratch + count, sum)
        addUp(right, count: count, into: scratch, scratch: scratch + count, sum)
        for index in 0..<count { target[index] += scratch[index] }
    }
}
