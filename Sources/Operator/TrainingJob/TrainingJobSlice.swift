import Kubernetes

/// The pods of one slice of an attempt: what their manifests are made from. A run without slices has one.
struct TrainingJobSlice: Sendable {
    let run: TrainingJob.Run
    let attempt: TrainingJob.Attempt
    /// 0 ..< `shape.sliceCount`.
    let index: Int
    /// The node pool whose nodes the pods run on.
    let pool: String
    let spec: RunSpec
    let observation: TrainingJobObservation

    var shape: RunShape { spec.shape }
    var namespace: String { observation.job.metadata.namespace ?? "default" }
    var jobName: String { Naming.attemptJob(runID: run.id, attempt: attempt.number, slice: index) }

    /// The stable DNS name of a pod: its Job's host name under the run's headless Service.
    func host(slice: Int, pod: Int) -> String {
        let job = Naming.attemptJob(runID: run.id, attempt: attempt.number, slice: slice)
        return "\(job)-\(pod).\(run.id).\(namespace).svc"
    }

    /// Of this slice, in the order of their indices.
    var hosts: [String] { (0..<shape.nodesPerSlice).map { host(slice: index, pod: $0) } }

    /// Of all slices.
    var allHosts: [String] {
        (0..<shape.sliceCount).flatMap { slice in (0..<shape.nodesPerSlice).map { host(slice: slice, pod: $0) } }
    }

    /// Pod 0 of slice 0.
    var coordinatorHost: String { host(slice: 0, pod: 0) }
}

extension TrainingJobSlice {
    /// All slices of an attempt; none while its place is not known.
    static func all(
        _ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> [TrainingJobSlice] {
        (0..<spec.shape.sliceCount).compactMap { index in
            guard let pool = observation.poolName(of: attempt, run, slice: index) else { return nil }
            return TrainingJobSlice(
                run: run, attempt: attempt, index: index, pool: pool, spec: spec, observation: observation)
        }
    }
}

extension TrainingJobObservation {
    /// The node pool of a slice of an attempt.
    func poolName(of attempt: TrainingJob.Attempt, _ run: TrainingJob.Run, slice: Int) -> String? {
        guard let candidate = attempt.candidate, let zone = attempt.zone else { return nil }
        let names = NodeSelection.pools(candidate: candidate, zone: zone, sliceCount: slice + 1, run, self)
        return names.indices.contains(slice) ? names[slice] : nil
    }

    /// The Jobs of an attempt, one for each slice, in the order of the slices.
    func attemptJobs(_ run: TrainingJob.Run, _ attempt: TrainingJob.Attempt) -> [Job] {
        let base = Naming.attemptJob(runID: run.id, attempt: attempt.number)
        func slice(_ job: Job) -> Int? {
            let name = job.metadata.name
            if name == base { return 0 }
            return name.hasPrefix(base + "-s") ? Int(name.dropFirst(base.count + 2)) : nil
        }
        return jobs.compactMap { job in slice(job).map { (job: job, slice: $0) } }
            .sorted { $0.slice < $1.slice }.map(\.job)
    }

    /// The pods of Jobs.
    func pods(of jobs: [Job]) -> [Pod] { jobs.flatMap(pods(of:)) }
}
