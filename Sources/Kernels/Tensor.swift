/// Float32 elements in row-major order, in memory that starts on a 64-byte boundary and is shared by copies and views.
///
/// Not `Sendable`: one training session owns its tensors.
public struct Tensor {
    public let shape: Shape
    private let memory: AlignedMemory
    private let offset: Int

    /// Zeros.
    public init(_ shape: Shape) {
        self.shape = shape
        memory = AlignedMemory(floats: shape.count)
        offset = 0
    }

    /// The elements of `values`, in order; their number must be the shape's.
    public init(_ shape: Shape, _ values: [Float]) {
        self.init(shape)
        invariant(values.count == shape.count, "a tensor's values fill its shape")
        for (index, value) in values.enumerated() { pointer[index] = value }
    }

    private init(memory: AlignedMemory, offset: Int, shape: Shape) {
        self.memory = memory
        self.offset = offset
        self.shape = shape
    }

    /// A tensor over `shape.count` elements of this one, from element `offset` on; writes are seen by both.
    public func view(at offset: Int, _ shape: Shape) -> Tensor {
        invariant(offset >= 0 && offset + shape.count <= count, "a view lies inside its tensor")
        return Tensor(memory: memory, offset: self.offset + offset, shape: shape)
    }

    public var count: Int { shape.count }

    /// The first element. Up to `AlignedMemory.slack` floats after the memory's end may be read, never written.
    var pointer: UnsafeMutablePointer<Float> { memory.floats + offset }

    /// The elements; valid while the tensor lives.
    public var elements: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: pointer, count: count) }

    /// A copy of the elements.
    public var values: [Float] { Array(elements) }
}

/// Memory for floats on a 64-byte boundary, zeroed.
final class AlignedMemory {
    /// Zeros behind the end that vector loads may touch: one tile and two taps.
    static let slack = 64

    let floats: UnsafeMutablePointer<Float>
    let count: Int

    init(floats count: Int) {
        self.count = count
        let raw = UnsafeMutableRawPointer.allocate(byteCount: (count + Self.slack) * 4, alignment: 64)
        floats = raw.bindMemory(to: Float.self, capacity: count + Self.slack)
        floats.initialize(repeating: 0, count: count + Self.slack)
    }

    deinit { UnsafeMutableRawPointer(floats).deallocate() }
}

/// One byte per element: labels, and the places of maxima.
public struct ByteTensor {
    private let memory: AlignedMemory
    public let count: Int

    /// Zeros.
    public init(count: Int) {
        self.count = count
        memory = AlignedMemory(floats: (count + 3) / 4)
    }

    var pointer: UnsafeMutablePointer<UInt8> {
        UnsafeMutableRawPointer(memory.floats).assumingMemoryBound(to: UInt8.self)
    }

    /// The elements; valid while the tensor lives.
    public var elements: UnsafeMutableBufferPointer<UInt8> { UnsafeMutableBufferPointer(start: pointer, count: count) }
}

/// Stops the process when an invariant of ours is broken. (`precondition` is compiled out of this module.)
@inline(__always)
func invariant(_ holds: Bool, _ text: StaticString) {
    if !holds { invariantBroken(text) }
}

@inline(never)
private func invariantBroken(_ text: StaticString) -> Never {
    fatalError("broken invariant: \(text)")
}
