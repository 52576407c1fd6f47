import ControllerRuntime
import Encoding
public import Kubernetes

/// Runs that wait for Kueue: a Workload for each run of an object with the queue label. The run looks for machines when it
/// is admitted, lets go of them when it is evicted, and gives its quota back when it has ended.
///
/// Kueue knows the kind only by its Workload: what its own integrations do with a job (stop it, give the reservation back,
/// declare it finished) is done here.
enum TrainingJobQueue {
    typealias Decision = TrainingJobDecision

    /// Names the LocalQueue, as on every object that Kueue manages.
    static let queueLabel = "kueue.x-k8s.io/queue-name"
    /// Names a WorkloadPriorityClass, as on every object that Kueue manages.
    static let priorityLabel = "kueue.x-k8s.io/priority-class"
    /// The only pod set.
    static let podSet = "main"

    /// The LocalQueue that the object names, where there is a Kueue to know it.
    static func queueName(_ observation: TrainingJobObservation) -> String? {
        guard observation.isQueueServed, let name = observation.job.metadata.labels?[queueLabel], !name.isEmpty
        else { return nil }
        return name
    }

    // MARK: Rules

    /// Rule `waitingForQueue`: nothing is bought before Kueue has admitted the run, nor kept when it has evicted it.
    static func waiting(_ observation: TrainingJobObservation) -> Decision? {
        guard let queue = queueName(observation), let run = observation.activeRun, run.image != nil,
            observation.succeededAttempt == nil, let spec = observation.runSpec
        else { return nil }
        guard let workload = observation.workload else {
            if let leaving = letGo("its Workload is gone", observation) { return leaving }
            if let missing = missingPriority(observation) { return missing }
            return Decision(
                steps: [.apply(manifest(run, spec, queue: queue, observation))], status: withoutPlace(observation),
                situation: .waiting(.waitingForQueue, "asking queue \(queue) for quota"),
                next: .after(observation.configuration.pollInterval))
        }
        guard isOurs(workload, observation) else {
            return Decision(
                status: observation.status,
                situation: .actionRequired(.nameConflict, "Workload \(run.id) exists and is not ours"),
                next: .after(TrainingJobPlan.slowRecheck))
        }
        if workload.isAdmitted { return admitted(workload, spec, observation) }
        if let leaving = letGo(message(workload, queue), observation) { return leaving }
        return queued(workload, queue, observation)
    }

    /// Rule `leavingQueue`: a suspended run stands in no queue.
    static func leaving(_ observation: TrainingJobObservation) -> Decision? {
        guard observation.spec.suspend, observation.activeRun != nil, observation.activeAttempt == nil,
            let workload = observation.workload, standsInQueue(observation),
            !TrainingJobRelease.holdsSomething(observation)
        else { return nil }
        return Decision(
            steps: [.delete(ObjectReference(workload))], status: withoutPlace(observation),
            situation: .suspending("leaving the queue"), next: .after(observation.configuration.pollInterval))
    }

    /// Rule `returningQuota`: the run has a result and holds nothing; Kueue may give its quota to others.
    static func finishing(_ observation: TrainingJobObservation) -> Decision? {
        guard let run = observation.status.run, let result = run.result, let workload = observation.workload,
            standsInQueue(observation), !workload.isFinished, !TrainingJobRelease.holdsSomething(observation)
        else { return nil }
        let isSucceeded = result == TrainingJob.RunResult.succeeded.rawValue
        let finished = condition(
            "Finished", .true, isSucceeded ? "Succeeded" : "Failed", "run \(run.id) has ended: \(run.reason ?? result)",
            workload, observation)
        return Decision(
            steps: [.cloud(.updateWorkload(patch([finished], of: workload, observation)))],
            status: observation.status, situation: .finished, next: .after(observation.configuration.pollInterval))
    }

    /// Before the next run is recorded: the finished Workload of this one goes, so that an object never has two.
    static func tidying(_ observation: TrainingJobObservation) -> Decision? {
        guard let workload = observation.workload, standsInQueue(observation) else { return nil }
        return Decision(
            steps: [.delete(ObjectReference(workload))], status: observation.status, situation: .finished,
            next: .after(observation.configuration.pollInterval))
    }

    /// Why a candidate is not for the flavor that the queue has admitted, as a sentence; nil when it is.
    static func misfit(
        _ candidate: TrainingJob.Capacity.Candidate, _ observation: TrainingJobObservation
    ) -> String? {
        // As the Workload is now: what status remembers may have been evicted since.
        guard let own = candidate.resourceFlavor, let workload = observation.workload, workload.isAdmitted,
            isOurs(workload, observation),
            let admitted = workload.flavor(of: observation.recordedSpec?.shape.resourceName), own != admitted
        else { return nil }
        return "\(candidate.name): for flavor \(own), and the queue has admitted \(admitted)"
    }

    /// Whether the run has a Workload.
    static func standsInQueue(_ observation: TrainingJobObservation) -> Bool {
        guard let workload = observation.workload else { return false }
        return isOurs(workload, observation) && !workload.metadata.isDeleting
    }

    // MARK: Decisions

    private static func admitted(
        _ workload: Workload, _ spec: RunSpec, _ observation: TrainingJobObservation
    ) -> Decision? {
        var place = TrainingJob.Queue(workload: workload.metadata.name)
        place.clusterQueue = workload.status?.admission?.clusterQueue
        place.flavor = workload.flavor(of: spec.shape.resourceName)
        place.admittedTime = workload.conditions.first(ofType: "Admitted")?.lastTransitionTime
        guard observation.status.queue != place else { return nil }
        var status = observation.status
        status.queue = place
        let text = "admitted by \(place.clusterQueue ?? "Kueue")" + (place.flavor.map { " with flavor \($0)" } ?? "")
        return .record(status, .provisioning(.provisioning, text))
    }

    /// Ends the attempt and releases machines; nil when there is neither.
    private static func letGo(_ why: String, _ observation: TrainingJobObservation) -> Decision? {
        if observation.activeAttempt != nil || observation.status.capacity?.current != nil {
            var status = withoutPlace(observation)
            TrainingJobRun.endAttempt(&status, .evicted, observation)
            status.capacity?.current = nil
            status.capacity?.zone = nil
            return .record(status, .recovering(.evicted, why))
        }
        guard TrainingJobRelease.holdsSomething(observation) else { return nil }
        let progress = TrainingJobRelease.everything(observation)
        guard !progress.isDone else { return .record(progress.status, .recovering(.evicted, why)) }
        return Decision(
            steps: progress.steps, status: progress.status,
            situation: progress.blocked ?? .recovering(.evicted, "letting go of the machines: \(why)"),
            next: .after(observation.configuration.pollInterval))
    }

    /// Nothing is held: gives a reservation back that was evicted, and says what is waited for.
    private static func queued(
        _ workload: Workload, _ queue: String, _ observation: TrainingJobObservation
    ) -> Decision {
        var steps: [Decision.Step] = []
        if workload.metadata.isDeleting {
            // Made anew when it is gone.
        } else if workload.isEvicted, workload.holdsQuota {
            steps = [.cloud(.updateWorkload(returned(workload, observation)))]
        } else if workload.spec?.queueName != queue, !workload.holdsQuota {
            // Another queue: what a Workload waits for is not edited but made anew.
            steps = [.delete(ObjectReference(workload))]
        }
        return Decision(
            steps: steps, status: withoutPlace(observation),
            situation: .waiting(.waitingForQueue, message(workload, queue)),
            next: steps.isEmpty ? .after(TrainingJobPlan.slowRecheck) : .after(observation.configuration.pollInterval))
    }

    private static func withoutPlace(_ observation: TrainingJobObservation) -> TrainingJob.Status {
        var status = observation.status
        status.queue = nil
        return status
    }

    /// In Kueue's words where it says something.
    private static func message(_ workload: Workload, _ queue: String) -> String {
        if workload.spec?.active == false {
            return "queue \(queue): an administrator has deactivated Workload \(workload.metadata.name)"
        }
        if let evicted = workload.conditions.first(ofType: "Evicted"), evicted.status == .true {
            return "queue \(queue): evicted (\(evicted.reason)): \(evicted.message)"
        }
        guard let reserved = workload.conditions.first(ofType: "QuotaReserved") else {
            return "queue \(queue) has not looked at Workload \(workload.metadata.name) yet"
        }
        if reserved.status == .true {
            return "queue \(queue): quota is reserved; admission checks are not done"
        }
        return "queue \(queue): \(reserved.message)"
    }

    /// Whether the Workload belongs to this object, not to a namesake of old.
    private static func isOurs(_ workload: Workload, _ observation: TrainingJobObservation) -> Bool {
        workload.metadata.ownerReferences?.contains { $0.uid == observation.job.metadata.uid } == true
    }

    // MARK: What is written

    /// The Workload of a run: what its pods ask for, in one pod set.
    static func manifest(
        _ run: TrainingJob.Run, _ spec: RunSpec, queue: String, _ observation: TrainingJobObservation
    ) -> Manifest {
        var body: JSONValue = [
            "apiVersion": .string(Workload.resourceType.apiVersion), "kind": "Workload",
            "metadata": TrainingJobPods.metadata(name: run.id, runID: run.id, observation),
            "spec": [
                "queueName": .string(queue), "active": true,
                "podSets": [
                    [
                        "name": .string(podSet), "count": .integer(Int64(spec.shape.nodeCount)),
                        "template": ["spec": podSpec(run, spec)],
                    ]
                ],
            ],
        ]
        if case .found(let reference, let value) = observation.workloadPriority {
            body.set(.integer(value), at: ["spec", "priority"])
            body.set(reference.json, at: ["spec", "priorityClassRef"])
        }
        return Manifest(type: Workload.resourceType, method: .createOnce, body: body)
    }

    private static func podSpec(_ run: TrainingJob.Run, _ spec: RunSpec) -> JSONValue {
        // Kueue counts requests; a limit without one is one.
        var requests = TrainingJobPlacement.limits(spec)
        requests.merge(spec.trainer?.resourcesPerNode?.requests ?? [:]) { _, request in request }
        return [
            "restartPolicy": "Never",
            "containers": [
                [
                    "name": .string(TrainingJobPods.container), "image": .string(run.image ?? ""),
                    "resources": ["requests": .object(requests)],
                ]
            ],
            "tolerations": .array(NodeSelection.tolerations(spec)),
        ]
    }

    /// As Kueue's integrations do after an eviction: the reservation goes back, and the Workload stands in the queue again.
    private static func returned(_ workload: Workload, _ observation: TrainingJobObservation) -> WorkloadUpdate {
        let evicted = workload.conditions.first(ofType: "Evicted")
        let message = evicted?.message ?? "evicted"
        let isRequeued = ["Preempted", "NodeFailures"].contains(evicted?.reason ?? "")
        var update = patch(
            [
                condition("QuotaReserved", .false, "Pending", message, workload, observation),
                condition(
                    "Admitted", .false, "NoReservation", "the workload has no reservation", workload, observation),
                condition(
                    "Requeued", isRequeued ? .true : .false, evicted?.reason ?? "Evicted", message, workload,
                    observation),
            ], of: workload, observation)
        update.dropsAdmission = true
        return update
    }

    private static func condition(
        _ type: String, _ status: Condition.Status, _ reason: String, _ message: String, _ workload: Workload,
        _ observation: TrainingJobObservation
    ) -> Condition {
        let old = workload.conditions.first(ofType: type)
        return Condition(
            type: type, status: status, reason: reason, message: Conditions.cut(message),
            lastTransitionTime: old?.status == status
                ? old?.lastTransitionTime ?? observation.moment : observation.moment,
            observedGeneration: workload.metadata.generation)
    }

    /// All conditions, with these in place of the old ones.
    private static func patch(
        _ changed: [Condition], of workload: Workload, _ observation: TrainingJobObservation
    ) -> WorkloadUpdate {
        let types = Set(changed.map(\.type))
        return WorkloadUpdate(
            workload: ObjectReference(workload), resourceVersion: workload.metadata.resourceVersion ?? "",
            conditions: workload.conditions.filter { !types.contains($0.type) } + changed, owner: observation.owner)
    }
}

/// A change of a Workload's status, for the version of it that was read.
public struct WorkloadUpdate: Sendable, Hashable {
    public var workload: ObjectReference
    public var resourceVersion: String
    public var conditions: [Condition]
    public var dropsAdmission = false
    /// The TrainingJob for which it is done.
    public var owner: ObjectReference

    /// A merge patch of the status, with what was read as its precondition.
    func patch() throws(JSONError) -> JSONValue {
        var status: JSONValue = [
            "conditions": .array(try conditions.map { value throws(JSONError) in try JSONValue(encoding: value) })
        ]
        if dropsAdmission { status["admission"] = .null }
        return [
            "metadata": ["uid": .string(workload.uid ?? ""), "resourceVersion": .string(resourceVersion)],
            "status": status,
        ]
    }
}
