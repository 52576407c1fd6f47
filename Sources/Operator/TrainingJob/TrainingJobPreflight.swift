import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP

/// What can be known to go wrong before machines cost money: pure rules over what was seen, each with a sentence.
enum TrainingJobPreflight {
    typealias Decision = TrainingJobDecision
    typealias Name = TrainingJob.Preflight.Check

    /// How long an answer is waited for: then the check counts as not made, and the run goes on.
    static let patience: Duration = .seconds(300)

    enum Result: Sendable, Hashable {
        case passed
        /// Nothing that stops a run.
        case warning(String)
        /// Nothing is bought until somebody acts.
        case failed(Reason, String)
        case skipped
        case notChecked(String)
        /// The answer is still to come.
        case waiting(String)
    }

    struct Check: Sendable, Hashable {
        var name: Name
        var result: Result
    }

    /// Whether the run is at the point between its inputs and its machines. A run that took over the machines of the last
    /// one is beyond it.
    static func isPending(_ observation: TrainingJobObservation) -> Bool {
        let status = observation.status
        return observation.activeRun?.image != nil && status.preflight.isEmpty && status.attempts.isEmpty
            && status.capacity?.attemptCount == nil && status.resources.isEmpty && !observation.spec.suspend
    }

    /// Rule `preflight`: looks once for each run, and writes what it found.
    static func check(_ observation: TrainingJobObservation) -> Decision? {
        guard isPending(observation), let run = observation.activeRun, let spec = observation.runSpec,
            let seen = observation.preflight
        else { return nil }
        var checks = results(run, spec, seen, observation)
        for check in checks {
            guard case .failed(let reason, let message) = check.result else { continue }
            // A probe that was refused is tried again: that tells when somebody has acted.
            return Decision(
                steps: probing(run, seen, observation), status: observation.status,
                situation: .actionRequired(reason, message), next: .after(TrainingJobPlan.slowRecheck))
        }
        let isOverdue = observation.now - (run.startTime ?? observation.now) > patience
        for (index, check) in checks.enumerated() {
            guard case .waiting(let message) = check.result else { continue }
            guard isOverdue else {
                return Decision(
                    steps: probing(run, seen, observation), status: observation.status,
                    situation: .waiting(.awaitingPreflight, message),
                    next: .after(observation.configuration.pollInterval))
            }
            checks[index].result = .notChecked("no answer in time: \(message)")
        }
        var status = observation.status
        status.preflight = checks.map(\.status)
        // From now on the run has this image, whatever becomes of the tag.
        if case .found(let digest) = seen.image { status.run?.image = pinned(run.image ?? "", digest) }
        return .record(
            status, .waiting(.awaitingPreflight, "what can be checked before machines are there was checked"))
    }

    private static func probing(
        _ run: TrainingJob.Run, _ seen: PreflightObservation, _ observation: TrainingJobObservation
    ) -> [Decision.Step] {
        switch seen.probe {
        case nil, .passed: return []
        case .untried, .unreadable: break
        }
        guard let place = probePlace(run, observation) else { return [] }
        let write = ObjectWrite(
            place: place, text: run.id, contentType: "text/plain", generation: 0, owner: observation.owner)
        return [.cloud(.probe(write))]
    }

    /// All checks, in the order in which they are told.
    static func results(
        _ run: TrainingJob.Run, _ spec: RunSpec, _ seen: PreflightObservation, _ observation: TrainingJobObservation
    ) -> [Check] {
        let choices = (try? TrainingJobNodePool.choices(for: run, spec, observation).get()) ?? CapacityOptions()
        return Name.allCases.map { name in
            guard !observation.spec.skips(name) else { return Check(name: name, result: .skipped) }
            let result: Result =
                switch name {
                case .kernels: kernels(spec, choices)
                case .buckets: buckets(run, seen)
                case .iam: permissions(run, seen)
                case .quota: quota(spec, choices.usable, seen)
                case .locality: locality(regions(choices.usable, observation.configuration.cluster), seen)
                case .image: image(run, seen)
                case .selfTest: selfTest(observation.spec)
                }
            return Check(name: name, result: result)
        }
    }

    // MARK: Rules

    private static func kernels(_ spec: RunSpec, _ choices: CapacityOptions) -> Result {
        guard spec.trainer?.kernels != nil else { return .notChecked("trainer.kernels says nothing about the image") }
        let incompatible = choices.skipped.filter { $0.reason == .kernelIncompatible }
        return incompatible.isEmpty ? .passed : .warning("left out: " + texts(incompatible.map(\.message)))
    }

    /// Written and read back. What the pods may do is their own service account's matter.
    private static func buckets(_ run: TrainingJob.Run, _ seen: PreflightObservation) -> Result {
        for (name, read) in seen.buckets.sorted(by: { $0.key < $1.key }) where read.locationError?.code == .notFound {
            return .failed(.storageUnavailable, "bucket \(name) does not exist")
        }
        let bucket = run.prefix.flatMap { StorageURI($0) }?.bucket ?? ""
        switch seen.probe {
        case nil: return .notChecked("the run declares no outputs")
        case .passed: return .passed
        case .unreadable(let error): return refusal(error, "bucket \(bucket) cannot be read")
        case .untried:
            guard let error = seen.probeRefusal else { return .waiting("writing a probe to bucket \(bucket)") }
            return refusal(error, "bucket \(bucket) cannot be written")
        }
    }

    /// Not allowed stays so until somebody acts; anything else may pass.
    private static func refusal(_ error: APIError, _ what: String) -> Result {
        switch error.code {
        case .forbidden, .unauthorized:
            .failed(
                .permissionDenied,
                "\(what) by the operator: \(error.message); grant it, or set preflight.skip: [Buckets]")
        case .notFound: .failed(.storageUnavailable, "\(what): \(error.message)")
        default: .waiting("\(what): \(error.message)")
        }
    }

    private static func permissions(_ run: TrainingJob.Run, _ seen: PreflightObservation) -> Result {
        guard let bucket = run.prefix.flatMap({ StorageURI($0) })?.bucket, let read = seen.buckets[bucket] else {
            return .notChecked("the run declares no outputs")
        }
        if let error = read.grantedError { return unanswered(error) }
        guard let granted = read.granted else { return .notChecked("nobody was asked") }
        let missing = outputPermissions.filter { !granted.contains($0) }
        if let first = missing.first(where: { outputPermissions.prefix(2).contains($0) }) {
            return .failed(
                .permissionDenied,
                "the operator lacks \(first) on bucket \(bucket): outputs could never be verified; grant it, or set "
                    + "preflight.skip: [IAM]")
        }
        guard missing.isEmpty else {
            return .warning(
                "without \(missing.joined(separator: " and ")) on \(bucket) there is no completion marker")
        }
        return .passed
    }

    /// A service that refuses to tell does not stop a run; one that does not answer is waited for.
    private static func unanswered(_ error: APIError) -> Result {
        switch error.code {
        case .forbidden, .unauthorized, .notFound, .invalid: .notChecked(error.message)
        default: .waiting(error.message)
        }
    }

    private static func selfTest(_ spec: TrainingJob.Spec) -> Result {
        spec.preflight?.selfTestArgs == nil
            ? .notChecked("preflight.selfTestArgs is not set")
            : .notChecked("runs on every node before the trainer, in each attempt")
    }

    // MARK: Image

    /// An image that is certainly not there never will be pulled; what a registry does not tell says nothing.
    private static func image(_ run: TrainingJob.Run, _ seen: PreflightObservation) -> Result {
        switch seen.image {
        case .found: .passed
        case .missing(let error):
            .failed(
                .imagePullFailed,
                "image \(run.image ?? "") does not exist: \(error.message); push it, or set preflight.skip: [Image]")
        case .unreadable(let error): unanswered(error)
        case .notAsked(let why): .notChecked(why)
        case nil: .notChecked("nobody was asked")
        }
    }

    /// With the digest, and the tag as a word for people.
    static func pinned(_ image: String, _ digest: String) -> String {
        image.contains("@") ? image : "\(image)@\(digest)"
    }

    // MARK: Quota

    private static func quota(_ spec: RunSpec, _ options: [CapacityOption], _ seen: PreflightObservation) -> Result {
        guard NodeSelection.policy(spec) == .createPerRun else { return .notChecked("the nodes are made by others") }
        var never: [String] = []
        var notNow: [String] = []
        var unknownCount = 0
        for option in options {
            guard let need = need(option), case .quotas(let quotas) = seen.regions[need.region],
                let quota = best(need.metric, option, quotas)
            else {
                unknownCount += 1
                continue
            }
            let text =
                "\(option.candidate.name) in \(need.region) needs \(Int(need.count)) \(need.metric), the quota is "
                + "\(Int(quota.limit))"
            if quota.limit < need.count {
                never.append(text)
            } else if quota.free < need.count {
                notNow.append("\(text), of which \(Int(quota.free)) are free")
            }
        }
        if !options.isEmpty, never.count == options.count {
            return .failed(.quotaExceeded, "no candidate fits into its quota: \(texts(never))")
        }
        if !never.isEmpty || !notNow.isEmpty { return .warning(texts(never + notNow)) }
        if unknownCount == options.count { return unknown(seen) }
        return .passed
    }

    private static func unknown(_ seen: PreflightObservation) -> Result {
        for (_, region) in seen.regions.sorted(by: { $0.key < $1.key }) {
            if case .unreadable(let error) = region { return unanswered(error) }
        }
        return .notChecked("Compute Engine's regions have no quota for these machines, or nobody was asked")
    }

    /// Of what is not reserved: GPUs and TPU chips; of runs without either vCPUs.
    private static func need(_ option: CapacityOption) -> (region: String, metric: String, count: Double)? {
        guard option.candidate.reservation == nil, let need = PreflightQuota.need(option) else { return nil }
        return (region(ofZone: option.zone), need.metric, Double(need.perNode * option.shape.nodeCount))
    }

    /// Spot machines have a quota of their own where somebody asked for one, and else count in the common one; queued
    /// ones may count in either.
    private static func best(
        _ metric: String, _ option: CapacityOption, _ quotas: [String: PreflightObservation.Quota]
    ) -> PreflightObservation.Quota? {
        let common = quotas[metric]
        guard option.candidate.provisioningModel == .spot || option.isQueued,
            let own = quotas[PreflightQuota.preemptible(metric)], own.limit > 0
        else { return common }
        guard option.isQueued, let common else { return own }
        return common.limit > own.limit ? common : own
    }

    // MARK: Locality

    private static func locality(_ regions: [String], _ seen: PreflightObservation) -> Result {
        var far: [String] = []
        var knownCount = 0
        for (name, read) in seen.buckets.sorted(by: { $0.key < $1.key }) {
            guard let location = read.location?.lowercased() else { continue }
            knownCount += 1
            let others = regions.filter { isFar($0, from: location) }
            if !others.isEmpty {
                far.append("bucket \(name) is in \(location), machines may be in \(others.joined(separator: ", "))")
            }
        }
        if !far.isEmpty { return .warning(texts(far) + ": slower, and traffic between regions is billed") }
        if knownCount == 0, let error = seen.buckets.values.lazy.compactMap(\.locationError).first {
            return unanswered(error)
        }
        return knownCount == 0 ? .notChecked("the run has no bucket") : .passed
    }

    /// Whether a region is certainly not where a bucket is. Of dual regions only Google knows which two they are.
    static func isFar(_ region: String, from location: String) -> Bool {
        if location.contains("-") { return location != region }
        switch location {
        case "us": return !region.hasPrefix("us-")
        case "eu": return !region.hasPrefix("europe-")
        case "asia": return !region.hasPrefix("asia-")
        default: return false
        }
    }

    private static func texts(_ texts: [String]) -> String {
        let more = texts.count > 2 ? " and \(texts.count - 2) more" : ""
        return texts.prefix(2).joined(separator: "; ") + more
    }
}

extension TrainingJobPreflight.Check {
    fileprivate var status: TrainingJob.PreflightStatus {
        let words = words
        return .init(
            name: name.rawValue, result: words.result, detail: words.detail.map { Conditions.cut($0, to: 256) })
    }

    private var words: (result: String, detail: String?) {
        switch result {
        case .passed: ("Passed", nil)
        case .warning(let text): ("Warning", text)
        case .failed(_, let text): ("Failed", text)
        case .skipped: ("Skipped", nil)
        case .notChecked(let text), .waiting(let text): ("NotChecked", text)
        }
    }
}
