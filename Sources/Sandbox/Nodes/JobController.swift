import Encoding

/// The batch/v1 Job controller over snapshots: Indexed and NonIndexed Jobs, suspend, backoff and failure policy.
///
/// Pods that ended are counted here in memory, once each, so that they may be deleted afterwards; the API server's
/// Job controller uses finalizers for the same.
struct JobController: Sendable {
    private struct Tally: Sendable {
        var counted: Set<String> = []
        var failed = 0
        var succeeded = 0
        var succeededIndexes: Set<Int> = []
        /// Pods that were active when last seen.
        var active: Set<String> = []
        /// Pods that this controller deleted: their end is no failure.
        var dismissed: Set<String> = []
        var failureMessage: String?
        var lastFailure: Timestamp?
    }

    private static let component = "job-controller"
    private var tallies: [String: Tally] = [:]
    private var names: PodNames

    init(seed: UInt64) { names = PodNames(seed: seed) }

    /// What to write now. `pods` are all pods of the cluster.
    mutating func changes(jobs: [JobView], pods: [PodView], now: Timestamp) -> ClusterChanges {
        let owned = Dictionary(grouping: pods) { $0.controllerUID ?? "" }
        var changes = ClusterChanges()
        for job in jobs where !job.isDeleting {
            changes.append(sync(job, pods: owned[job.uid] ?? [], now: now))
        }
        let alive = Set(jobs.map(\.uid))
        tallies = tallies.filter { alive.contains($0.key) }
        return changes
    }

    private mutating func sync(_ job: JobView, pods: [PodView], now: Timestamp) -> ClusterChanges {
        if job.isFinished { return expire(job, now: now) }
        var tally = tallies[job.uid] ?? Tally()
        count(job, pods, into: &tally, now: now)
        var round = JobRound(job: job, pods: pods, now: now)
        round.failed = tally.failed
        round.succeeded = job.isIndexed ? tally.succeededIndexes.count : tally.succeeded
        round.succeededIndexes = tally.succeededIndexes
        round.decideEnd(failureMessage: tally.failureMessage)
        if round.isEnding || job.isSuspended {
            for pod in round.active {
                round.dismiss(pod)
                tally.dismissed.insert(pod.uid)
            }
        } else if JobController.mayCreate(job, tally, now: now) {
            for index in round.missingPods() {
                round.create(index: index, suffix: names.next())
            }
        }
        tally.active = Set(round.active.map(\.uid))
        tallies[job.uid] = tally
        return round.finished()
    }

    private func count(_ job: JobView, _ pods: [PodView], into tally: inout Tally, now: Timestamp) {
        for pod in pods where pod.isTerminal && !tally.counted.contains(pod.uid) {
            tally.counted.insert(pod.uid)
            if pod.phase == "Succeeded" {
                tally.succeeded += 1
                if let index = pod.completionIndex { tally.succeededIndexes.insert(index) }
            } else if !tally.dismissed.contains(pod.uid) {
                fail(PodFailurePolicy.action(for: pod, of: job), &tally, now: now)
            }
        }
        // A pod that was deleted before its end could be seen has failed.
        let vanished = tally.active.subtracting(pods.map(\.uid)).subtracting(tally.counted)
        for uid in vanished.subtracting(tally.dismissed) {
            tally.counted.insert(uid)
            fail(.count, &tally, now: now)
        }
    }

    private func fail(_ action: PodFailurePolicy.Action, _ tally: inout Tally, now: Timestamp) {
        switch action {
        case .ignore: break
        case .failJob(let message):
            tally.failed += 1
            tally.failureMessage = tally.failureMessage ?? message
        case .count:
            tally.failed += 1
            tally.lastFailure = now
        }
    }

    /// After the nth failure 10 s × 2^(n-1), at most 10 minutes, pass before the next pod.
    private static func mayCreate(_ job: JobView, _ tally: Tally, now: Timestamp) -> Bool {
        guard let lastFailure = tally.lastFailure, tally.failed > 0 else { return true }
        let seconds = min(600, 10 << min(tally.failed - 1, 6))
        return lastFailure + .seconds(seconds) <= now
    }

    private func expire(_ job: JobView, now: Timestamp) -> ClusterChanges {
        guard let seconds = job.timeToLiveSeconds else { return ClusterChanges() }
        let ended = job.conditions.last {
            ["Complete", "Failed"].contains($0["type"]?.stringValue) && $0["status"]?.stringValue == "True"
        }
        guard let time = ended?["lastTransitionTime"]?.stringValue.flatMap({ Timestamp($0) }),
            time + .seconds(seconds) <= now
        else { return ClusterChanges() }
        return ClusterChanges(writes: [
            .delete(ClusterPath.job(job), uid: job.uid, propagation: "Background")
        ])
    }
}

/// The random five letters at the end of pod names; the same sequence for the same seed.
struct PodNames: Sendable {
    private static let letters = Array("bcdfghjklmnpqrstvwxz2456789")
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> String {
        String((0..<5).map { _ in PodNames.letters[Int(random() % UInt64(PodNames.letters.count))] })
    }

    /// SplitMix64.
    private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
