import ControllerRuntime
import Encoding
import GoogleCloud
public import Kubernetes

/// The cluster autoscaler's request for machines that come all at once: `autoscaling.x-k8s.io/v1`, as far as a run has to
/// do with it.
public struct ProvisioningRequest: KubernetesResource, Equatable {
    public static let resourceType = ResourceType(
        group: "autoscaling.x-k8s.io", version: "v1", kind: "ProvisioningRequest", plural: "provisioningrequests")

    public struct Status: Codable, Sendable, Hashable {
        public var conditions: [Condition]?
    }

    public var metadata: ObjectMeta
    public var status: Status?

    var conditions: [Condition] { status?.conditions ?? [] }
}

/// Candidates with `FlexStart`: a pool that the cluster autoscaler fills, all nodes or none, when a ProvisioningRequest
/// asks for them; one request for each pool, of its name. Nothing is billed while it waits.
enum TrainingJobFlexStart {
    typealias Step = TrainingJobDecision.Step

    /// GKE's provisioning class for queued machines.
    static let className = "queued-provisioning.gke.io"
    /// Of a machine that was queued for: seven days.
    static let longestRunSeconds: Int64 = 7 * 86400

    private static let template = ResourceType(group: "", version: "v1", kind: "PodTemplate", plural: "podtemplates")

    /// Why a candidate cannot be tried in this cluster, as a sentence.
    static func problem(
        _ candidate: TrainingJob.Capacity.Candidate, _ observation: TrainingJobObservation
    ) -> String? {
        guard candidate.provisioningModel == .flexStart, !observation.isProvisioningServed else { return nil }
        return "\(candidate.name): the cluster does not serve \(ProvisioningRequest.resourceType.apiVersion) "
            + "ProvisioningRequest, which FlexStart needs"
    }

    /// Makes a pool one that is filled on request.
    static func queue(_ pool: inout NodePool, _ option: CapacityOption) {
        guard option.isQueued else { return }
        let count = option.shape.nodesPerSlice
        pool.initialNodeCount = 0
        pool.queuedProvisioning = FeatureSwitch(enabled: true)
        // The limits of a slice of several hosts are per zone; both are one zone's.
        pool.autoscaling =
            option.shape.slice == nil
            ? NodePoolAutoscaling(enabled: true, totalMinNodeCount: 0, totalMaxNodeCount: count, locationPolicy: "ANY")
            : NodePoolAutoscaling(enabled: true, minNodeCount: 0, maxNodeCount: count, locationPolicy: "ANY")
        pool.config?.flexStart = true
        pool.config?.reservationAffinity = ReservationAffinity(consumeReservationType: "NO_RESERVATION")
    }

    // MARK: The request

    /// Asks for the nodes of pools that are not there yet; nothing while that was done.
    static func requesting(
        _ option: CapacityOption, _ pools: [String], _ run: TrainingJob.Run, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> [Step] {
        pools.filter { observation.provisioningRequests[$0] == nil }.flatMap { pool -> [Step] in
            [
                .apply(podTemplate(pool, option, run, spec, observation)),
                .apply(request(pool, option, run, observation)),
            ]
        }
    }

    private static func podTemplate(
        _ pool: String, _ option: CapacityOption, _ run: TrainingJob.Run, _ spec: RunSpec,
        _ observation: TrainingJobObservation
    ) -> Manifest {
        let spec = spec.using(option.candidate)
        let pod: JSONValue = [
            "restartPolicy": "Never", "nodeSelector": NodeSelection.selector(pool: pool, spec),
            "tolerations": .array(NodeSelection.tolerations(spec) + [toleration]),
            "containers": [
                [
                    "name": .string(TrainingJobPods.container), "image": .string(run.image ?? ""),
                    // With limits: the API server takes no accelerator that is only requested.
                    "resources": TrainingJobPlacement.resources(spec),
                ]
            ],
        ]
        return Manifest(
            type: template, method: .createOnce,
            body: [
                "apiVersion": "v1", "kind": "PodTemplate",
                "metadata": TrainingJobPods.metadata(name: pool, runID: run.id, observation),
                "template": ["spec": pod],
            ])
    }

    private static func request(
        _ pool: String, _ option: CapacityOption, _ run: TrainingJob.Run, _ observation: TrainingJobObservation
    ) -> Manifest {
        let seconds =
            TrainingJobNodePool.maximumRunSeconds(option, run, observation) ?? longestRunSeconds
        return Manifest(
            type: ProvisioningRequest.resourceType, method: .createOnce,
            body: [
                "apiVersion": .string(ProvisioningRequest.resourceType.apiVersion), "kind": "ProvisioningRequest",
                "metadata": TrainingJobPods.metadata(name: pool, runID: run.id, observation),
                "spec": [
                    "provisioningClassName": .string(className),
                    "parameters": ["maxRunDurationSeconds": .string(String(seconds))],
                    "podSets": [
                        [
                            "podTemplateRef": ["name": .string(pool)],
                            "count": .integer(Int64(option.shape.nodesPerSlice)),
                        ]
                    ],
                ],
            ])
    }

    /// Takes back the requests of pools that are not kept: a pool that is made again asks anew.
    static func withdrawing(
        _ observation: TrainingJobObservation, keeping kept: Set<String>
    ) -> (steps: [Step], isDone: Bool) {
        let left = observation.provisioningRequests.filter { !kept.contains($0.key) }
        let steps = left.sorted { $0.key < $1.key }.filter { !$0.value.metadata.isDeleting }.flatMap {
            name, request -> [Step] in
            // The template first: it is known by its request alone.
            [
                .delete(ObjectReference(type: template, namespace: request.metadata.namespace, name: name)),
                .delete(ObjectReference(request)),
            ]
        }
        return (steps, left.isEmpty)
    }

    // MARK: What became of it

    /// Why no machines come of a request; once they are there, what it says of its booking is of no interest.
    static func failure(
        _ option: CapacityOption, _ pool: String, _ observation: TrainingJobObservation
    ) -> CapacityFailure? {
        guard option.isQueued, let request = observation.provisioningRequests[pool], !request.metadata.isDeleting,
            observation.nodes(of: pool).count(where: \.isReady) < option.shape.nodesPerSlice
        else { return nil }
        let reasons: [(type: String, reason: Reason)] = [
            ("Failed", .capacityUnavailable), ("CapacityRevoked", .capacityRevoked),
            ("BookingExpired", .bookingExpired),
        ]
        for (type, reason) in reasons where request.conditions.isTrue(type) {
            let condition = request.conditions.first(ofType: type)
            return CapacityFailure(
                reason: reason, code: condition?.reason, message: condition?.message ?? "the request has failed")
        }
        return nil
    }

    /// What the autoscaler says while a request waits, for the headline.
    static func waitingText(_ option: CapacityOption, _ observation: TrainingJobObservation) -> String {
        guard option.isQueued else { return "" }
        let requests = option.pools.compactMap { observation.provisioningRequests[$0] }
        guard let waiting = requests.first(where: { !$0.conditions.isTrue("Provisioned") }) else { return "" }
        let words = ["Provisioned", "Accepted"].lazy.compactMap { waiting.conditions.first(ofType: $0)?.message }.first
        return words.flatMap { $0.isEmpty ? nil : ": queued: \($0)" } ?? ": queued"
    }

    // MARK: Pods

    private static let toleration: JSONValue = [
        "key": "cloud.google.com/gke-queued", "operator": "Exists", "effect": "NoSchedule",
    ]

    /// Whether the pods of a slice take machines that were asked for so.
    private static func isQueued(_ slice: TrainingJobSlice) -> Bool {
        slice.observation.provisioningRequests[slice.pool] != nil
    }

    /// By which the autoscaler knows whom the machines are for.
    static func annotations(_ slice: TrainingJobSlice) -> [String: JSONValue] {
        guard isQueued(slice) else { return [:] }
        return [
            "autoscaling.x-k8s.io/consume-provisioning-request": .string(slice.pool),
            "autoscaling.x-k8s.io/provisioning-class-name": .string(className),
        ]
    }

    /// GKE's taint of nodes that were queued for.
    static func tolerations(_ slice: TrainingJobSlice) -> [JSONValue] { isQueued(slice) ? [toleration] : [] }
}
