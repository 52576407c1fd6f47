import Encoding
import GoogleCloud

/// The settings of the service as a whole, and where a service differs from them.
enum ModelEndpointSettings {
    typealias Observation = ModelEndpointObservation

    /// One setting that is not as it should be.
    struct Difference: Sendable, Hashable {
        var path: String
        var desired: String
        var observed: String
        /// Of the patch.
        var field: String

        /// Of who gets the requests.
        var isWeight: Bool { field == "traffic" }
    }

    static let fields = ["labels", "ingress", "scaling", "traffic"]

    // MARK: As it should be

    /// Everything but the template.
    static func configuration(
        _ status: ModelEndpoint.Status, _ observation: Observation
    ) -> RunServiceConfiguration {
        var configuration = RunServiceConfiguration()
        configuration.labels = labels(observation)
        configuration.ingress = .known(ingress(observation.spec))
        configuration.scaling = scaling(observation, hasServed: status.active != nil)
        configuration.traffic = traffic(status, observation)
        return configuration
    }

    /// Of services: whose it is, and what becomes of it when the object goes.
    static func labels(_ observation: Observation) -> [String: String] {
        var labels = Ownership.retainableLabels(observation.owner, clusterUID: observation.configuration.clusterUID)
        labels[Ownership.onDeletionLabel] =
            observation.spec.deletionPolicy == .delete ? Ownership.goesWithObject : Ownership.staysWithoutObject
        return labels
    }

    private static func ingress(_ spec: ModelEndpoint.Spec) -> RunServiceConfiguration.Ingress {
        switch spec.backend.cloudRun?.ingress {
        case .all?: .all
        case .internalAndLoadBalancer?: .internalLoadBalancer
        case .internalOnly?, nil: .internalOnly
        }
    }

    /// Stopped, nothing can run. Before the first revision serves, one instance shows whether it starts.
    static func scaling(_ observation: Observation, hasServed: Bool) -> RunServiceConfiguration.Scaling {
        if observation.isStopped {
            var scaling = RunServiceConfiguration.Scaling(scalingMode: "MANUAL")
            scaling.manualInstanceCount = 0
            return scaling
        }
        let least = ModelEndpointWindows.minimum(observation)
        let most = observation.spec.scaling.maxReplicas
        return .init(
            minInstanceCount: hasServed ? least : min(max(1, least), most), maxInstanceCount: most,
            scalingMode: "AUTOMATIC")
    }

    /// Whom the requests go to. A revision that is not ready gets none, whatever the facts say.
    static func traffic(_ status: ModelEndpoint.Status, _ observation: Observation) -> [RunTrafficTarget] {
        guard let active = status.active else {
            // Whichever became ready last: until one is, nobody.
            return [RunTrafficTarget(type: .latest, percent: 100)]
        }
        guard let candidate = status.candidate, observation.revision(candidate.revision)?.isReady == true else {
            return [RunTrafficTarget(type: .revision, revision: active.revision, percent: 100)]
        }
        let weight = min(max(candidate.weight ?? 0, 0), 100)
        let tagged = RunTrafficTarget(
            type: .revision, revision: candidate.revision, percent: weight, tag: ModelEndpointService.candidateTag)
        guard weight < 100 else { return [tagged] }
        return [RunTrafficTarget(type: .revision, revision: active.revision, percent: 100 - weight), tagged]
    }

    // MARK: As it is

    /// What differs; only what we set is compared.
    static func differences(_ wanted: RunServiceConfiguration, _ service: RunService) -> [Difference] {
        let found = service.configuration
        var result: [Difference] = []
        func note(_ field: String, _ path: String, _ desired: String, _ observed: String) {
            guard desired != observed else { return }
            result.append(Difference(path: path, desired: desired, observed: observed, field: field))
        }
        for (key, value) in (wanted.labels ?? [:]).sorted(by: { $0.key < $1.key }) {
            note("labels", "labels.\(key)", value, found.labels?[key] ?? "")
        }
        note("ingress", "ingress", text(wanted.ingress), text(found.ingress))
        note("scaling", "scaling", text(wanted.scaling), text(found.scaling))
        note("traffic", "traffic", text(wanted.traffic), text(found.traffic))
        return result
    }

    /// Whether these weights are in force, and not only asked for.
    static func isInForce(_ wanted: [RunTrafficTarget], _ service: RunService) -> Bool {
        guard !service.isReconciling else { return false }
        let statuses = service.trafficStatuses ?? []
        return wanted.allSatisfy { target in
            statuses.contains { status in
                status.percent ?? 0 == target.percent ?? 0 && status.tag == target.tag
                    && (target.revision == nil || status.revision == target.revision)
            }
        }
    }

    private static func text(_ ingress: OpenEnum<RunServiceConfiguration.Ingress>?) -> String {
        ingress?.text ?? RunServiceConfiguration.Ingress.all.rawValue
    }

    private static func text(_ scaling: RunServiceConfiguration.Scaling?) -> String {
        if scaling?.scalingMode == "MANUAL" { return "\(scaling?.manualInstanceCount ?? 0) instances" }
        let most = scaling?.maxInstanceCount.map { $0 == 0 ? 100 : $0 } ?? 100
        return "\(scaling?.minInstanceCount ?? 0) to \(most) instances"
    }

    private static func text(_ traffic: [RunTrafficTarget]?) -> String {
        let targets = traffic ?? [RunTrafficTarget(type: .latest, percent: 100)]
        return targets.map { target in
            let who = target.revision ?? "latest"
            return "\(target.percent ?? 0)% \(who)\(target.tag.map { " (\($0))" } ?? "")"
        }.sorted().joined(separator: ", ")
    }
}
