import Glibc
import Synchronization
import TrainingContract

/// A fault that this process plays on itself, for tests of what then happens: never set in a real run.
///
/// `hang-at-step=40,rank=1,attempt=2`: one fault, and where. Without `rank` it is rank 0's, without `attempt` it happens
/// in the first attempt only, so that the next one gets past it; `attempt=any` repeats it. Several are separated by
/// semicolons; a process plays the first that is its own.
public struct TrainingFault: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The process lives and does nothing, before the step with this number (from 0).
        case hang = "hang-at-step"
        /// Nothing goes on, before that step, until the process is asked to stop.
        case pause = "pause-at-step"
        /// SIGKILL to itself, before that step.
        case kill = "kill-at-step"
        /// SIGTERM to itself, before that step.
        case terminate = "term-at-step"
        /// SIGKILL to itself, instead of the write with this number (from 1) to the storage.
        case killInsteadOfWrite = "kill-at-write"
        /// SIGKILL to itself, right after that write.
        case killAfterWrite = "kill-after-write"
    }

    public var kind: Kind
    public var number: Int

    /// What `text` asks of this process; nil: nothing.
    ///
    /// - Throws: `.usage`.
    public init?(_ text: String, rank: Int, attempt: Int) throws(TrainingError) {
        var own: [TrainingFault] = []
        for fault in text.split(separator: ";", omittingEmptySubsequences: false) {
            if let fault = try TrainingFault(single: fault, rank: rank, attempt: attempt) { own.append(fault) }
        }
        guard let first = own.first else { return nil }
        self = first
    }

    private init?(single text: Substring, rank: Int, attempt: Int) throws(TrainingError) {
        func wrong(_ part: Substring) -> TrainingError {
            TrainingError(
                .usage,
                "\(TrainingEnvironment.fault) is for tests and has \"\(part.prefix(60))\"; known are "
                    + Kind.allCases.map { "\($0.rawValue)=N" }.joined(separator: ", ") + ", rank=N and attempt=N|any")
        }
        var found: (Kind, Int)?
        var isHere = rank == 0
        var isNow = attempt == 1
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2, pair[1] == "any" || Int(pair[1]).map({ $0 >= 0 }) ?? false else {
                throw wrong(part)
            }
            let number = Int(pair[1])
            switch pair[0] {
            case "rank": isHere = number == nil || number == rank
            case "attempt": isNow = number == nil || number == attempt
            default:
                guard let kind = Kind(rawValue: pair[0]), let number, found == nil else { throw wrong(part) }
                found = (kind, number)
            }
        }
        guard let found else { throw wrong(text) }
        guard isHere, isNow else { return nil }
        (kind, number) = found
    }

    /// Whether it is the fault of this step.
    func isPlayed(beforeStep step: Int) -> Bool {
        step == number && kind != .killInsteadOfWrite && kind != .killAfterWrite
    }

    /// Plays the fault of a step.
    func play(until shouldStop: () -> Bool) {
        switch kind {
        case .hang: while true { Glibc.pause() }
        case .pause: while !shouldStop() { usleep(10_000) }
        case .kill: Self.kill()
        case .terminate: Glibc.kill(getpid(), SIGTERM)
        case .killInsteadOfWrite, .killAfterWrite: return
        }
    }

    private static func kill() {
        Glibc.kill(getpid(), SIGKILL)
        while true { pause() }
    }

    /// A storage that plays the faults of writes.
    public func wrapping(_ storage: TrainingStorage) -> TrainingStorage {
        guard kind == .killInsteadOfWrite || kind == .killAfterWrite else { return storage }
        let count = Counter()
        let fault = self
        var wrapped = storage
        wrapped.write = { uri, bytes, contentType async throws(TrainingError) in
            let isTheOne = count.next() == fault.number
            if isTheOne && fault.kind == .killInsteadOfWrite { Self.kill() }
            try await storage.write(uri, bytes, contentType)
            if isTheOne { Self.kill() }
        }
        return wrapped
    }
}

/// Counts from 1.
private final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    func next() -> Int { value.add(1, ordering: .relaxed).newValue }
}
