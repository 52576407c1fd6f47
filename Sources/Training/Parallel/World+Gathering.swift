import Encoding
import Glibc
import TrainingContract

/// How the processes of a run find each other: they start in any order, so the others try until rank 0 listens; who is
/// not of this run and attempt, or trains something else, is told so and refused.
extension World {
    /// Who wants to take part.
    struct Hello: Codable, Hashable {
        var version = Hello.currentVersion
        var runID: String
        var attempt: Int
        var rank: Int
        var size: Int
        /// Everything that must be the same in all processes, as text.
        var fingerprint: String

        static let currentVersion = 1
        /// A stranger that connects and says nothing holds nobody up for longer.
        static let seconds = 5.0
    }

    /// Rank 0's port, open. Opened before anything slow, so that the others find it.
    ///
    /// - Returns: nil for the others, and for a single process.
    func open() throws(TrainingError) -> Socket? {
        guard isFirst, !isAlone else { return nil }
        // A process of an earlier attempt may just be giving it up.
        let patience = Patience(seconds: 15)
        while true {
            do throws(SocketFailure) {
                return try Socket.listening(host: place.coordinatorHost, port: place.coordinatorPort)
            } catch {
                guard error == .system(EADDRINUSE), patience.left > 0, !isStopping() else {
                    throw TrainingError(
                        .unsupportedMachine, "rank 0 cannot listen on port \(place.coordinatorPort): \(error.text)")
                }
            }
            usleep(100_000)
        }
    }

    /// Waits until all processes are there.
    ///
    /// - Parameters:
    ///   - listener: of `open`.
    ///   - refused: called with a sentence about each connection that was.
    /// - Throws: `.peerLost` when they do not come in time, `.usage` when one trains something else,
    ///   `.stoppedAfterCheckpoint` when one of them was asked to stop meanwhile.
    func gather(_ hello: Hello, _ listener: Socket?, refused: (String) -> Void) throws(TrainingError) {
        if isAlone { return }
        let patience = Patience(seconds: place.rendezvousSeconds, hurriedSeconds: 0, isHurried: isStopping)
        do throws(TrainingError) {
            if let listener {
                try admitAll(hello, listener, patience, refused)
            } else {
                try joinFirst(hello, patience)
            }
        } catch {
            throw isStopping() && error.code == .peerLost ? Self.stopped : error
        }
    }

    private static let stopped = TrainingError(
        .stoppedAfterCheckpoint, "stopped on request before all processes were there")

    // MARK: Rank 0

    private func admitAll(
        _ hello: Hello, _ listener: Socket, _ patience: Patience, _ refused: (String) -> Void
    ) throws(TrainingError) {
        while peers.count < place.size - 1 {
            guard patience.left > 0 else { throw missing() }
            let isReadable = Socket.readable([listener] + peers.map(\.socket), patience)
            // A peer has nothing to say now: it says farewell, or it is gone and may come again.
            for (peer, hasCome) in zip(peers, isReadable.dropFirst()) where hasCome {
                do throws(TrainingError) {
                    _ = try peer.receive(.vote, step: 0, limit: 0, Patience(seconds: Hello.seconds))
                } catch {
                    guard error.code == .peerLost else { throw error }
                }
                peers.removeAll { $0.rank == peer.rank }
            }
            if isReadable[0], let socket = listener.accepted() { try admit(socket, hello, refused) }
        }
        peers.sort { $0.rank < $1.rank }
    }

    private func missing() -> TrainingError {
        let present = Set(peers.map(\.rank))
        let absent = (1..<place.size).filter { !present.contains($0) }
        let named = absent.prefix(8).map(String.init).joined(separator: ", ") + (absent.count > 8 ? ", …" : "")
        return TrainingError(
            .peerLost,
            "\(absent.count) of \(place.size) processes did not come within \(Int(place.rendezvousSeconds)) s "
                + "(rank \(named)): do their pods run, and can they reach port \(place.coordinatorPort) here?")
    }

    private func admit(_ socket: Socket, _ own: Hello, _ refused: (String) -> Void) throws(TrainingError) {
        let patience = Patience(seconds: Hello.seconds)
        guard let theirs = hello(from: socket, patience) else {
            return refused("a connection from \(socket.peer) is not from a trainer of this version; closed")
        }
        let peer = Peer(rank: theirs.rank, socket: socket, size: place.size)
        guard let error = objection(to: theirs, own) else {
            peers.append(peer)
            return
        }
        Peer(rank: 0, socket: socket, size: place.size).sayFarewell(error, patience)
        socket.finish(patience)
        refused("\(socket.peer) was refused: \(error.message)")
        // One of this run that does something else: no time would help.
        if error.code == .usage { throw error }
    }

    private func hello(from socket: Socket, _ patience: Patience) -> Hello? {
        guard let header = try? Peer.bytes(Frame.headerCount, from: socket, patience),
            let frame = Frame(header: header), frame.kind == .hello, frame.count <= Frame.maximumTextCount,
            let text = try? Peer.bytes(frame.count, from: socket, patience),
            let hello = try? JSONValue(parsing: text).decode(Hello.self)
        else { return nil }
        return hello
    }

    private func objection(to theirs: Hello, _ own: Hello) -> TrainingError? {
        guard theirs.runID == own.runID, theirs.attempt == own.attempt else {
            return TrainingError(
                .peerLost,
                "this is attempt \(own.attempt) of run \(own.runID), "
                    + "not attempt \(theirs.attempt) of \(theirs.runID.prefix(100))")
        }
        guard theirs.version == own.version, theirs.size == own.size, (1..<own.size).contains(theirs.rank) else {
            return TrainingError(
                .usage,
                "rank \(theirs.rank) of \(theirs.size) (protocol \(theirs.version)) does not fit "
                    + "a world of \(own.size) (protocol \(own.version))")
        }
        guard theirs.fingerprint == own.fingerprint else {
            return TrainingError(
                .usage,
                "rank \(theirs.rank) trains something else (\(theirs.fingerprint)) than rank 0 (\(own.fingerprint))")
        }
        if let there = peers.first(where: { $0.rank == theirs.rank }) {
            return TrainingError(.peerLost, "rank \(theirs.rank) is there already, at \(there.socket.peer)")
        }
        return nil
    }

    // MARK: The others

    /// Tries until rank 0 begins; a connection that breaks before is made again.
    private func joinFirst(_ hello: Hello, _ patience: Patience) throws(TrainingError) {
        var last = "not tried"
        while patience.left > 0, !isStopping() {
            var connected: Peer?
            do throws(SocketFailure) {
                let socket = try Socket.connected(
                    host: place.coordinatorHost, port: place.coordinatorPort, Patience(seconds: min(10, patience.left)))
                connected = Peer(rank: 0, socket: socket, size: place.size)
                last = "the connection was closed"
            } catch {
                last = error.text
            }
            if let connected, try begins(connected, hello, patience) { return }
            usleep(200_000)
        }
        throw TrainingError(
            .peerLost,
            "rank 0 at \(place.coordinatorHost):\(place.coordinatorPort) was not there within "
                + "\(Int(place.rendezvousSeconds)) s (\(last)): does its pod run?")
    }

    /// Says hello and waits for rank 0's first word, which stays unread; false when the connection ends without one.
    private func begins(_ first: Peer, _ hello: Hello, _ patience: Patience) throws(TrainingError) -> Bool {
        do throws(TrainingError) {
            let text = try JSONValue(encodingHello: hello).serialized()
            try first.send(Frame(.hello, count: text.count), text, patience)
        } catch {
            guard error.code == .peerLost else { throw error }
            return false
        }
        while patience.left > 0 {
            if isStopping() {
                first.sayFarewell(Self.stopped, Patience(seconds: 1))
                throw Self.stopped
            }
            guard Socket.readable([first.socket], patience)[0] else { continue }
            guard first.socket.hasBytes else { return false }
            peers = [first]
            return true
        }
        return false
    }
}

extension JSONValue {
    fileprivate init(encodingHello hello: World.Hello) throws(TrainingError) {
        do {
            self = try JSONValue(encoding: hello)
        } catch {
            throw TrainingError(.software, "the greeting cannot be written: \(error)")
        }
    }
}
