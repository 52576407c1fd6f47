import Encoding
import Glibc
import Kernels
import TrainingContract

/// What is to happen before the next step.
enum WorldDecision: UInt8, Comparable {
    case goOn = 0
    case checkpoint = 1
    case stop = 2

    static func < (left: WorldDecision, right: WorldDecision) -> Bool { left.rawValue < right.rawValue }
}

/// The processes that train together: a star around rank 0.
///
/// Rank 0 adds the gradients in a fixed order (`BatchShards`), so the same world gives the same bits in every run; every
/// rank then makes the same optimizer step. Every wait has an end, and an end with an error is told to all. With a single
/// process nothing here does anything. Used from the session's thread.
final class World {
    let place: WorldPlace
    /// Rank 0: all others in order; the others: rank 0.
    var peers: [Peer] = []
    /// Whether this process was asked to stop.
    let isStopping: () -> Bool
    /// Seconds that sums of gradients took, waiting for slower processes included, and how many there were.
    private var sumSeconds = 0.0
    private var sumCount = 0
    /// Sums that wait for their other half; one for each level of the tree.
    private var partialSums: [Tensor] = []

    /// A silent peer is waited for so long when this process was asked to stop: its grace period runs.
    static let hurriedSeconds = 10.0
    /// A bucket that is away is tried for so long.
    static let storageSeconds = 900.0
    private static let numbersCount = 24

    init(_ place: WorldPlace, isStopping: @escaping () -> Bool) {
        self.place = place
        self.isStopping = isStopping
    }

    var isFirst: Bool { place.rank == 0 }
    var isAlone: Bool { place.size == 1 }

    /// This rank's part of `count` things.
    func slice(_ count: Int) -> Range<Int> {
        (count * place.rank / place.size)..<(count * (place.rank + 1) / place.size)
    }

    /// The others wait a little longer for rank 0 than that for them, so that it can tell them who is silent.
    func patience() -> Patience {
        let more = isFirst ? 0 : 5.0
        return Patience(
            seconds: place.peerSeconds + more, hurriedSeconds: Self.hurriedSeconds + more, isHurried: isStopping)
    }

    // MARK: Together

    /// Gives all ranks the bytes of rank 0.
    func share(_ bytes: [UInt8]) throws(TrainingError) -> [UInt8] {
        if isFirst {
            for peer in peers { try peer.send(Frame(.share, count: bytes.count), bytes, patience()) }
            return bytes
        }
        guard let first = peers.first else { return bytes }
        let patience = patience()
        let frame = try first.receive(.share, step: 0, limit: 64 << 20, patience)
        return try first.payload(of: frame, patience)
    }

    /// Gives all ranks the values of rank 0.
    func share(_ tensor: Tensor) throws(TrainingError) {
        let count = 4 * tensor.count
        if isFirst {
            for peer in peers { try peer.send(Frame(.share, count: count), [], tensor.elements, patience()) }
        } else if let first = peers.first {
            let patience = patience()
            let frame = try first.receive(.share, step: 0, limit: count, patience)
            guard frame.count == count else { throw Self.anotherSize(first) }
            try first.receive(into: tensor.elements, step: 0, patience)
        }
    }

    /// What all ranks do next: the greatest of their wishes.
    func agree(_ wish: WorldDecision, step: Int) throws(TrainingError) -> WorldDecision {
        if isAlone { return wish }
        if isFirst {
            var decision = wish
            for peer in peers {
                let frame = try peer.receive(.vote, step: step, limit: 0, patience())
                decision = max(decision, WorldDecision(rawValue: frame.value) ?? .goOn)
            }
            for peer in peers { try peer.send(Frame(.decision, value: decision.rawValue, step: step), patience()) }
            return decision
        }
        guard let first = peers.first else { return wish }
        try first.send(Frame(.vote, value: wish.rawValue, step: step), patience())
        let frame = try first.receive(.decision, step: step, limit: 0, patience())
        return WorldDecision(rawValue: frame.value) ?? .goOn
    }

    /// Adds up the losses, and the gradients element by element, in a fixed order; all get the sums.
    ///
    /// - Parameter gradients: nil where there are none to add.
    func sum(_ batch: BatchLoss, _ gradients: Tensor?, step: Int) throws(TrainingError) -> BatchLoss {
        if isAlone { return batch }
        let start = Patience.now
        defer {
            if gradients != nil {
                sumSeconds += Patience.now - start
                sumCount += 1
            }
        }
        let elements = gradients?.elements ?? UnsafeMutableBufferPointer(start: nil, count: 0)
        let count = Self.numbersCount + 4 * elements.count
        if isFirst {
            var total = batch
            try collect(0..<place.size, into: elements, depth: 0, step: step, &total)
            for peer in peers {
                try peer.send(Frame(.sum, count: count, step: step), total.bytes, elements, patience())
            }
            return total
        }
        guard let first = peers.first else { return batch }
        try first.send(Frame(.sum, count: count, step: step), batch.bytes, elements, patience())
        let patience = patience()
        let total = try receiveLoss(from: first, count, step: step, patience)
        try first.receive(into: elements, step: step, patience)
        return total
    }

    /// Adds up the gradients of these ranks, in the order that `BatchShards` lays down; rank 0's own are in `target`.
    private func collect(
        _ ranks: Range<Int>, into target: UnsafeMutableBufferPointer<Float>, depth: Int, step: Int,
        _ total: inout BatchLoss
    ) throws(TrainingError) {
        guard let (left, right) = BatchParts.halves(ranks) else {
            if ranks.lowerBound == 0 { return }
            let peer = peers[ranks.lowerBound - 1], patience = patience()
            total.add(try receiveLoss(from: peer, Self.numbersCount + 4 * target.count, step: step, patience))
            return try peer.receive(into: target, step: step, patience)
        }
        try collect(left, into: target, depth: depth + 1, step: step, &total)
        while partialSums.count <= depth { partialSums.append(Tensor([target.count])) }
        if partialSums[depth].count < target.count { partialSums[depth] = Tensor([target.count]) }
        let other = UnsafeMutableBufferPointer(rebasing: partialSums[depth].elements[..<target.count])
        try collect(right, into: other, depth: depth + 1, step: step, &total)
        for index in target.indices { target[index] += other[index] }
    }

    private func receiveLoss(
        from peer: Peer, _ count: Int, step: Int, _ patience: Patience
    ) throws(TrainingError) -> BatchLoss {
        var frame = try peer.receive(.sum, step: step, limit: count, patience)
        guard frame.count == count else { throw Self.anotherSize(peer) }
        frame.count = Self.numbersCount
        return BatchLoss(bytes: try peer.payload(of: frame, patience))
    }

    private static func anotherSize(_ peer: Peer) -> TrainingError {
        TrainingError(.software, "\(peer.name) has another network than this rank")
    }

    /// Rank 0: tells the others that everything is stored. The others: wait for that.
    ///
    /// - Returns: what rank 0 stored.
    func stored(_ uri: String?, step: Int) throws(TrainingError) -> String? {
        if isFirst {
            let text = Array((uri ?? "").utf8)
            for peer in peers { try peer.send(Frame(.stored, count: text.count, step: step), text, patience()) }
            return uri
        }
        guard let first = peers.first else { return uri }
        // No hurry: what is waited for is the checkpoint that the grace period is for.
        let patience = Patience(seconds: Self.storageSeconds)
        let frame = try first.receive(.stored, step: step, limit: Frame.maximumTextCount, patience)
        let text = String(decoding: try first.payload(of: frame, patience), as: UTF8.self)
        return text.isEmpty ? nil : text
    }

    /// Tells all others why this process ends, as rank 0 also those that the reason came from.
    func leave(_ error: TrainingError) {
        let sending = Patience(seconds: 2)
        for peer in peers { peer.sayFarewell(error, sending) }
        let finishing = Patience(seconds: 2)
        for peer in peers { peer.socket.finish(finishing) }
        peers = []
    }

    /// What a step's sum took on average since this was asked last; nil without any.
    func sumMillisecondsPerStep() -> Double? {
        defer { (sumSeconds, sumCount) = (0, 0) }
        return sumCount == 0 ? nil : 1000 * sumSeconds / Double(sumCount)
    }
}

/// Losses over some images.
struct BatchLoss: Hashable {
    /// Sum over the images, natural logarithm.
    var sum = 0.0
    var correctCount = 0
    var count = 0

    mutating func add(_ other: BatchLoss) {
        sum += other.sum
        correctCount += other.correctCount
        count += other.count
    }

    /// Three numbers of 64 bits, little-endian.
    var bytes: [UInt8] {
        [sum.bitPattern, UInt64(bitPattern: Int64(correctCount)), UInt64(bitPattern: Int64(count))].flatMap { number in
            (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
        }
    }

    init(sum: Double = 0, correctCount: Int = 0, count: Int = 0) {
        self.sum = sum
        self.correctCount = correctCount
        self.count = count
    }

    /// - Parameter bytes: 24 of them.
    init(bytes: [UInt8]) {
        let numbers = (0..<3).map { index in
            bytes[(8 * index)..<(8 * index + 8)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        sum = Double(bitPattern: numbers[0])
        correctCount = Int(Int64(bitPattern: numbers[1]))
        count = Int(Int64(bitPattern: numbers[2]))
    }
}
