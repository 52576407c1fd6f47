import Glibc
import TrainingContract

/// Another process of the run, at the other end of a connection.
struct Peer {
    let rank: Int
    let socket: Socket
    /// Of the world.
    let size: Int

    var name: String { "rank \(rank) of \(size) (\(socket.peer))" }

    // MARK: Sending

    func send(_ frame: Frame, _ patience: Patience) throws(TrainingError) { try send(frame, [], patience) }

    func send(_ frame: Frame, _ payload: [UInt8], _ patience: Patience) throws(TrainingError) {
        try told(step: frame.step) { () throws(SocketFailure) in
            try sendBytes(frame.header + payload, patience)
        }
    }

    /// - Parameter floats: after the payload; counted by the frame.
    func send(
        _ frame: Frame, _ payload: [UInt8], _ floats: UnsafeMutableBufferPointer<Float>, _ patience: Patience
    ) throws(TrainingError) {
        try told(step: frame.step) { () throws(SocketFailure) in
            try sendBytes(frame.header + payload, patience)
            try socket.send(UnsafeRawBufferPointer(floats), patience)
        }
    }

    private func sendBytes(_ bytes: [UInt8], _ patience: Patience) throws(SocketFailure) {
        var failure: SocketFailure?
        bytes.withUnsafeBytes { buffer in
            do throws(SocketFailure) { try socket.send(buffer, patience) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Says that this process ends, and why; what goes wrong with that does not matter any more.
    func sayFarewell(_ error: TrainingError, _ patience: Patience) {
        let sentence = Array(error.message.utf8.prefix(Frame.maximumTextCount))
        let frame = Frame(.farewell, value: UInt8(truncatingIfNeeded: error.code.rawValue), count: sentence.count)
        try? sendBytes(frame.header + sentence, patience)
    }

    // MARK: Receiving

    /// The next frame's header, which must be of this kind and step and announce at most `limit` bytes.
    ///
    /// - Throws: the other side's farewell as the error that it names.
    func receive(
        _ kind: Frame.Kind, step: Int, limit: Int, _ patience: Patience
    ) throws(TrainingError) -> Frame {
        let header = try told(step: step) { () throws(SocketFailure) in
            try Peer.bytes(Frame.headerCount, from: socket, patience)
        }
        guard let frame = Frame(header: header) else {
            throw TrainingError(.peerLost, "\(name) sends something else than this trainer: is its image another one?")
        }
        if frame.kind == .farewell { throw try farewell(frame, patience) }
        guard frame.kind == kind, frame.step == step, frame.count <= limit else {
            throw TrainingError(
                .software,
                "\(name) is at step \(frame.step) with \(frame.kind) of \(frame.count) bytes, "
                    + "this rank at step \(step) expects \(kind)")
        }
        return frame
    }

    func payload(of frame: Frame, _ patience: Patience) throws(TrainingError) -> [UInt8] {
        try told(step: frame.step) { () throws(SocketFailure) in
            try Peer.bytes(frame.count, from: socket, patience)
        }
    }

    func receive(
        into floats: UnsafeMutableBufferPointer<Float>, step: Int, _ patience: Patience
    ) throws(TrainingError) {
        try told(step: step) { () throws(SocketFailure) in
            try socket.receive(into: UnsafeMutableRawBufferPointer(floats), patience)
        }
    }

    private func farewell(_ frame: Frame, _ patience: Patience) throws(TrainingError) -> TrainingError {
        let code = TrainerExitCode(rawValue: Int32(frame.value)) ?? .peerLost
        guard frame.count <= Frame.maximumTextCount else { return TrainingError(code, "\(name) ended") }
        let sentence = String(decoding: try payload(of: frame, patience), as: UTF8.self)
        // What rank 0 passes on names its rank already.
        return TrainingError(code, sentence.hasPrefix("rank ") ? sentence : "rank \(rank): \(sentence)")
    }

    /// Exactly `count` bytes.
    static func bytes(_ count: Int, from socket: Socket, _ patience: Patience) throws(SocketFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var failure: SocketFailure?
        bytes.withUnsafeMutableBytes { buffer in
            do throws(SocketFailure) { try socket.receive(into: buffer, patience) } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Turns what a socket says into a sentence about this peer.
    private func told<Value>(
        step: Int, _ body: () throws(SocketFailure) -> Value
    ) throws(TrainingError) -> Value {
        do throws(SocketFailure) {
            return try body()
        } catch {
            switch error {
            case .timedOut:
                throw TrainingError(
                    .peerLost,
                    "\(name) is silent at step \(step): it hangs, or its machine is gone, or the network between")
            case .closed, .system, .unknownHost:
                throw TrainingError(
                    .peerLost, "\(name) is gone at step \(step) (\(error.text)): its own log or its node says why")
            }
        }
    }
}
