import Encoding
import Glibc
import Synchronization

/// Writes each line as one JSON object to a file descriptor, whole lines only.
///
/// A line that cannot be written (a closed pipe, a full disk) is dropped: logging never stops the work.
public final class DescriptorLogSink: LogSink {
    public static let standardError = DescriptorLogSink(descriptor: 2)

    private let descriptor: Mutex<Int32>

    /// Does not close the descriptor.
    public init(descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    public func write(_ line: LogLine) {
        let bytes = line.json.serialized() + [0x0A]
        descriptor.withLock { descriptor in
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written)
                }
                if count > 0 {
                    written += count
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}

/// Hands each line to a closure: for tests, and for output that people read.
public struct ClosureLogSink: LogSink {
    private let body: @Sendable (LogLine) -> Void

    public init(_ body: @escaping @Sendable (LogLine) -> Void) { self.body = body }

    public func write(_ line: LogLine) { body(line) }
}
