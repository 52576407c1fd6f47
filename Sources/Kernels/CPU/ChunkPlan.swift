/// How the images of a backward pass are cut into chunks, each with sums of its own: by the parts alone, so that sums
/// do not depend on the threads.
struct ChunkPlan {
    let parts: BatchParts
    let minimumSize: Int
    /// More chunks cost memory for partial sums, fewer leave processors idle.
    let maximumPerPart: Int
    /// Of the largest part.
    let perPart: Int

    init(parts: BatchParts, minimumSize: Int, maximumPerPart: Int) {
        self.parts = parts
        self.minimumSize = minimumSize
        self.maximumPerPart = maximumPerPart
        let size = Self.size(parts.largest, minimumSize, maximumPerPart)
        perPart = max(1, (parts.largest + size - 1) / size)
    }

    private static func size(_ images: Int, _ minimum: Int, _ maximumCount: Int) -> Int {
        max(minimum, (images + maximumCount - 1) / maximumCount)
    }

    var count: Int { parts.range.count * perPart }

    /// A chunk's images, counted from the call's first; empty for some chunks of parts that are smaller than others.
    func images(_ chunk: Int) -> Range<Int> {
        let images = parts.images(parts.range.lowerBound + chunk / perPart)
        let size = Self.size(images.count, minimumSize, maximumPerPart)
        let first = min(images.upperBound, images.lowerBound + chunk % perPart * size)
        return first..<min(images.upperBound, first + size)
    }

    /// The chunks of a part that have images, and the first in any case.
    func chunks(ofPart part: Int) -> Range<Int> {
        let first = (part - parts.range.lowerBound) * perPart
        var end = first + 1
        while end < first + perPart, !images(end).isEmpty { end += 1 }
        return first..<end
    }
}

extension CPUBackend {
    /// target[i] = the sum of sums[chunk][offset + i]: of a part's chunks in order, of the parts as `BatchParts` says.
    ///
    /// - stride: floats from chunk to chunk.
    func addUp(
        _ sums: UnsafePointer<Float>, _ plan: ChunkPlan, stride: Int, offset: Int, count: Int,
        into target: UnsafeMutablePointer<Float>
    ) {
        let piece = 4096
        let scratch = threadMemory(plan.parts.depth * piece)
        pool.run((count + piece - 1) / piece) { index, thread in
            let first = index * piece
            let width = min(piece, count - first)
            plan.parts.addUp(plan.parts.range, count: width, into: target + first, scratch: scratch[thread]) {
                part, result in
                let chunks = plan.chunks(ofPart: part)
                result.update(from: sums + chunks.lowerBound * stride + offset + first, count: width)
                for chunk in chunks.dropFirst() {
                    let source = sums + chunk * stride + offset + first
                    for index in 0..<width { result[index] += source[index] }
                }
            }
        }
    }
}
