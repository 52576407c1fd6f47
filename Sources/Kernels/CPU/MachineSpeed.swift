import Glibc
import KernelLoops

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

    /// Of matrix products that stay in the first-level cache (64×128 by 128×32), on all threads; a multiply-add counts
    /// as two.
    public static func operationsPerSecond(threads: Int) -> Double {
        let rows = 64, columns = Product.columnStep, depth = 128, repetitions = 400
        let loops = Loops.usable[0]
        let pool = ThreadPool(threadCount: threads)
        let a = Tensor([threads, rows, depth]), b = Tensor([threads, depth, columns])
        let c = Tensor([threads, rows, columns])
        let left = a.pointer, right = b.pointer, target = c.pointer
        var best = Double.infinity
        for _ in 0..<12 {
            let start = seconds()
            pool.run(threads) { chunk, _ in
                for _ in 0..<repetitions {
                    loops.product(
                        Product(
                            rows: rows, columns: columns, depth: depth, a: left + chunk * rows * depth, aRow: depth,
                            aStep: 1, b: right + chunk * depth * columns, bRow: columns,
                            c: target + chunk * rows * columns, cRow: columns))
                }
            }
            best = min(best, seconds() - start)
        }
        return 2 * Double(threads * repetitions * rows * columns * depth) / best
    }

    static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
