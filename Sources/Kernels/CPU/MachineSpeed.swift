import Glibc

/// What this machine gives, measured in a second: to see that a node is not much slower than its kind.
public enum MachineSpeed {
    /// a ← b + s·c over arrays that no cache holds, on all threads: bytes read and written a second.
    ///
    /// - Source: the triad of STREAM (McCalpin 1995); what is written is not counted as read.
    public static func memoryBytesPerSecond(threads: Int) -> Double {
        let count = 16 << 20, pieces = 64
        let pool = ThreadPool(threadCount: threads)
        let a = Tensor([count]), b = Tensor([count]), c = Tensor([count])
        let target = a.pointer, left = b.pointer, right = c.pointer
        var best = Double.infinity
        for _ in 0..<4 {
            let start = seconds()
            pool.run(pieces) { piece, _ in
                let first = count / pieces * piece
                for index in first..<(first + count / pieces) {
                    target[index] = left[index].addingProduct(3, right[index])
                }
            }
            best = min(best, seconds() - start)
        }
        return Double(3 * count * MemoryLayout<Float>.size) / best
    }

    /// Of a product of matrices of 512×1024 and 1024×1024 on all threads; a multiply-add counts as two.
    public static func operationsPerSecond(threads: Int) -> Double {
        let shape = LinearShape(inputs: 1024, outputs: 1024)
        let rows = 512
        let backend = CPUBackend(threadCount: threads)
        let input = Tensor([rows, shape.inputs]), weight = Tensor(shape.weightShape)
        let bias = Tensor([shape.outputs]), output = Tensor([rows, shape.outputs])
        var best = Double.infinity
        for _ in 0..<8 {
            let start = seconds()
            backend.linearForward(shape, rows: rows, input: input, weight: weight, bias: bias, output: output)
            best = min(best, seconds() - start)
        }
        return 2 * Double(rows * shape.inputs * shape.outputs) / best
    }

    private static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
