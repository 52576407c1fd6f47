import ControllerRuntime
import Encoding
public import GoogleCloud
import Kubernetes

/// Which of the two services beside the predictor.
public enum ProcessorRole: String, Sendable, Hashable, CaseIterable {
    case preprocessor = "Preprocessor"
    case postprocessor = "Postprocessor"

    /// For sentences.
    var word: String { rawValue.lowercased() }

    /// In which variable the predictor is told its URL.
    var variable: String {
        switch self {
        case .preprocessor: "ML_UPSTREAM_URL"
        case .postprocessor: "ML_DOWNSTREAM_URL"
        }
    }
}

/// What there is of a processor: one that the spec has, or that was made for an earlier one.
public struct ProcessorObservation: Sendable, Hashable {
    public var role: ProcessorRole
    public var service: ServiceObservation
    /// Where the service is ours.
    public var policy: IAMPolicy?

    public init(role: ProcessorRole, service: ServiceObservation, policy: IAMPolicy? = nil) {
        self.role = role
        self.service = service
        self.policy = policy
    }
}

/// Services before and after the predictor: each made once, kept as described, called by the predictor alone, and gone
/// before the object is.
enum ModelEndpointProcessors {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision

    static let hashAnnotation = ModelEndpointService.Annotation.templateHash

    // MARK: Names

    static func wanted(_ spec: ModelEndpoint.Spec) -> [(role: ProcessorRole, processor: ModelEndpoint.Processor)] {
        [(.preprocessor, spec.preprocessor), (.postprocessor, spec.postprocessor)].compactMap { role, processor in
            processor.map { (role, $0) }
        }
    }

    /// `<name>-<8 digits>`, like the predictor's.
    static func id(_ role: ProcessorRole, _ owner: ObjectReference, clusterUID: String) -> String {
        let text = "\(clusterUID)\n\(owner.namespace ?? "")\n\(owner.name)\n\(role.rawValue)"
        return "\(owner.name)-\(Digest.sha256Hex(text).prefix(8))"
    }

    static func id(_ role: ProcessorRole, _ observation: Observation) -> String {
        id(role, observation.owner, clusterUID: observation.configuration.clusterUID)
    }

    static func reference(_ role: ProcessorRole, _ observation: Observation) -> String {
        ModelEndpointService.reference(id(role, observation), in: ModelEndpointService.location(observation))
    }

    /// Of those that the spec has, and those that may exist from an earlier one.
    static func roles(_ spec: ModelEndpoint.Spec, _ resources: [CloudResource]) -> [ProcessorRole] {
        let wanted = Set(wanted(spec).map(\.role))
        return ProcessorRole.allCases.filter { role in
            wanted.contains(role) || resources.contains { $0.role == role.rawValue }
        }
    }

    // MARK: As it should be

    /// Who alone may call it.
    static func caller(_ observation: Observation) -> String {
        "serviceAccount:\(observation.predictor.googleServiceAccount ?? "")"
    }

    static func configuration(
        _ role: ProcessorRole, _ processor: ModelEndpoint.Processor, _ observation: Observation
    ) -> RunServiceConfiguration {
        var configuration = RunServiceConfiguration()
        configuration.labels = ModelEndpointSettings.labels(observation)
        // The predictor's calls do not come from a VPC network, unless all of its traffic goes through one.
        let vpc = observation.spec.backend.cloudRun?.vpc
        configuration.ingress = .known(vpc?.egress == .allTraffic ? .internalOnly : .all)
        configuration.scaling = ModelEndpointSettings.scaling(observation, hasServed: true)
        configuration.annotations = [hashAnnotation: hash(processor, vpc)]
        configuration.template = template(role, processor, observation)
        return configuration
    }

    private struct Content: Encodable {
        var processor: ModelEndpoint.Processor
        var vpc: ModelEndpoint.Backend.VPC?
    }

    /// Of all that its revision is made of.
    static func hash(_ processor: ModelEndpoint.Processor, _ vpc: ModelEndpoint.Backend.VPC?) -> String {
        // It was decoded from JSON: it can be encoded.
        let text = ((try? JSONValue(encoding: Content(processor: processor, vpc: vpc))) ?? .null).serializedText()
        return "v1:sha256:\(Digest.sha256Hex(text).prefix(32))"
    }

    private static func template(
        _ role: ProcessorRole, _ processor: ModelEndpoint.Processor, _ observation: Observation
    ) -> RunRevisionTemplate {
        var container = RunContainer(image: processor.image)
        container.name = role.word
        container.args = processor.args
        container.env = (processor.env ?? []).sorted { $0.name < $1.name }.map(ModelEndpointService.variable)
        container.ports = [.init(containerPort: 8080)]
        container.resources = ModelEndpointService.resources(limits: processor.resources?.limits, hasGPU: false)
        var template = RunRevisionTemplate(containers: [container])
        template.labels = Ownership.retainableLabels(
            observation.owner, clusterUID: observation.configuration.clusterUID)
        template.timeout = "\(observation.predictor.timeoutSeconds)s"
        template.serviceAccount = processor.googleServiceAccount
        if let vpc = observation.spec.backend.cloudRun?.vpc { template.vpcAccess = ModelEndpointService.access(vpc) }
        return template
    }

    // MARK: Keeping them

    /// Rule `processors`: those that the spec has are there and may be called before the predictor is made or changed.
    static func keeping(_ observation: Observation) -> Decision? {
        for (role, processor) in wanted(observation.spec) {
            if let decision = keep(role, processor, observation) { return decision }
        }
        return leftover(observation)
    }

    private static func keep(
        _ role: ProcessorRole, _ processor: ModelEndpoint.Processor, _ observation: Observation
    ) -> Decision? {
        let configuration = configuration(role, processor, observation)
        switch observation.processor(role)?.service ?? .notLooked {
        case .notLooked: return nil
        case .absent: return observation.isStopped ? nil : create(role, configuration, observation)
        case .found(let service):
            if service.deleteTime != nil {
                return ModelEndpointRollout.poll(
                    observation,
                    .waiting(.creatingService, "waiting for the end of an earlier \(role.word) of this name"))
            }
            guard observation.owns(service) else { return takeBack(role, service, configuration, observation) }
            return update(role, service, configuration, observation)
                ?? allow(role, observation) ?? wait(role, service, observation)
        }
    }

    private static func create(
        _ role: ProcessorRole, _ configuration: RunServiceConfiguration, _ observation: Observation
    ) -> Decision? {
        let situation = ModelEndpointSituation.waiting(.creatingService, "creating the \(role.word)")
        let reference = reference(role, observation)
        let entry = observation.status.resources.first { $0.externalRef == reference }
        let age = entry.flatMap { $0.state == CloudResource.intent ? $0.intentTime : nil }.map { observation.now - $0 }
        guard let age, age >= .zero, age < observation.configuration.createGrace / 2 else {
            return .record(withIntent(role, observation), situation)
        }
        return Decision(
            steps: [
                .cloud(
                    .createService(
                        id(role, observation), configuration, in: ModelEndpointService.location(observation),
                        owner: observation.owner))
            ], status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
    }

    private static func withIntent(_ role: ProcessorRole, _ observation: Observation) -> Observation.Status {
        var status = observation.status
        var entry = CloudResource(externalRef: reference(role, observation), role: role.rawValue)
        entry.intentTime = observation.moment
        status.resources.removeAll { $0.externalRef == entry.externalRef }
        status.resources.append(entry)
        return status
    }

    /// One that an earlier object of this name left is taken back; somebody else's is never touched.
    private static func takeBack(
        _ role: ProcessorRole, _ service: RunService, _ configuration: RunServiceConfiguration,
        _ observation: Observation
    ) -> Decision? {
        guard
            Ownership.isRetained(
                service.configuration.labels, for: observation.owner, clusterUID: observation.configuration.clusterUID)
        else {
            return Decision(
                status: observation.status,
                situation: .actionRequired(
                    .nameConflict, "the Cloud Run service \(service.name) exists and is not this object's"),
                next: .after(ModelEndpointPlan.slowRecheck))
        }
        let situation = ModelEndpointSituation.waiting(.adoptingService, "taking back the \(role.word)")
        let reference = reference(role, observation)
        guard observation.status.resources.contains(where: { $0.externalRef == reference }) else {
            return .record(withIntent(role, observation), situation)
        }
        var labels = RunServiceConfiguration()
        labels.labels = configuration.labels
        return Decision(
            steps: [
                .cloud(
                    .adoptService(
                        id(role, observation), labels, etag: service.etag,
                        in: ModelEndpointService.location(observation), owner: observation.owner))
            ], status: observation.status, situation: situation, next: .after(observation.configuration.pollInterval))
    }

    private static func update(
        _ role: ProcessorRole, _ service: RunService, _ wanted: RunServiceConfiguration, _ observation: Observation
    ) -> Decision? {
        var fields = ModelEndpointSettings.differences(wanted, service).map(\.field).filter { $0 != "traffic" }
        if service.configuration.annotations?[hashAnnotation] != wanted.annotations?[hashAnnotation] {
            fields += ["annotations", "template"]
        }
        guard !fields.isEmpty else { return nil }
        return Decision(
            steps: [
                .cloud(
                    .patchService(
                        id(role, observation), wanted, fields: Set(fields).sorted(), etag: service.etag,
                        in: ModelEndpointService.location(observation), owner: observation.owner))
            ], status: observation.status,
            situation: .waiting(
                .updatingService, "setting the \(role.word)'s \(Set(fields).sorted().joined(separator: ", "))"),
            next: .after(observation.configuration.pollInterval))
    }

    /// The predictor's account, and nobody else, may call it.
    private static func allow(_ role: ProcessorRole, _ observation: Observation) -> Decision? {
        guard let policy = observation.processor(role)?.policy else { return nil }
        let held = ModelEndpointAccess.members(policy)
        let wanted: Set = [caller(observation)]
        guard held != wanted else { return nil }
        return Decision(
            steps: [
                .cloud(
                    .setInvokers(
                        wanted.sorted(), managed: held.union(wanted).sorted(), of: id(role, observation),
                        in: ModelEndpointService.location(observation), owner: observation.owner))
            ], status: observation.status,
            situation: .waiting(.updatingAccess, "setting who may call the \(role.word)"),
            next: .after(observation.configuration.pollInterval))
    }

    /// Before it has served once, the predictor cannot.
    private static func wait(
        _ role: ProcessorRole, _ service: RunService, _ observation: Observation
    ) -> Decision? {
        guard !observation.isStopped, service.latestReadyRevision == nil || service.uri == nil else { return nil }
        if !service.isReconciling, let problem = failure(service) {
            return Decision(
                status: observation.status,
                situation: .actionRequired(.processorFailed, "the \(role.word) does not start: \(problem)"),
                next: .after(ModelEndpointPlan.slowRecheck))
        }
        return ModelEndpointRollout.poll(observation, .waiting(.deploying, "the \(role.word) is starting"))
    }

    static func failure(_ service: RunService) -> String? {
        guard service.terminalCondition?.state == .known(.failed) else { return nil }
        return service.terminalCondition?.message ?? "Cloud Run does not say why"
    }

    /// The first processor whose newest revision does not start, while an earlier one serves; nil: none.
    static func problem(_ observation: Observation) -> String? {
        for (role, _) in wanted(observation.spec) {
            guard case .found(let service)? = observation.processor(role)?.service, !service.isReconciling,
                let failure = failure(service)
            else { continue }
            return "the \(role.word)'s new revision does not start, the one before goes on: \(failure)"
        }
        return nil
    }

    // MARK: Those that are not wanted any more

    /// Goes when no revision that serves, or is about to, calls it.
    private static func leftover(_ observation: Observation) -> Decision? {
        let wanted = Set(wanted(observation.spec).map(\.role))
        for processor in observation.processors where !wanted.contains(processor.role) {
            let isUnused =
                observation.status.candidate == nil
                && (observation.status.active == nil
                    || observation.status.active?.templateHash == observation.target?.hash)
            guard isUnused, let decision = remove(processor, observation, isDeleting: false) else { continue }
            return decision
        }
        return nil
    }

    /// The next step towards its end; nil when nothing of it is left, not even in the ledger.
    static func remove(
        _ processor: ProcessorObservation, _ observation: Observation, isDeleting: Bool
    ) -> Decision? {
        let reference = reference(processor.role, observation)
        guard let entry = observation.status.resources.first(where: { $0.externalRef == reference }) else { return nil }
        let message = "deleting the \(processor.role.word)"
        let situation: ModelEndpointSituation =
            isDeleting ? .deleting(message) : .waiting(.updatingService, message)
        if case .found(let service) = processor.service, service.deleteTime != nil || observation.owns(service) {
            guard service.deleteTime == nil else { return ModelEndpointRollout.poll(observation, situation) }
            return Decision(
                steps: [
                    .cloud(
                        .deleteProcessor(
                            processor.role, id(processor.role, observation),
                            in: ModelEndpointService.location(observation), owner: observation.owner))
                ], status: observation.status, situation: situation,
                next: .after(observation.configuration.pollInterval))
        }
        var status = observation.status
        if processor.service == .absent, entry.state == CloudResource.intent, let intent = entry.intentTime {
            // A create whose reply was lost may still be on its way.
            let rest = observation.configuration.createGrace - (observation.now - min(intent, observation.now))
            if intent > observation.now {
                for index in status.resources.indices where status.resources[index].externalRef == reference {
                    status.resources[index].intentTime = observation.moment
                }
                return .record(status, situation)
            }
            guard rest <= .zero else { return Decision(status: status, situation: situation, next: .after(rest)) }
        }
        status.resources.removeAll { $0.externalRef == reference }
        return .record(status, situation)
    }

    // MARK: What is told

    static func describe(_ status: inout ModelEndpoint.Status, _ observation: Observation) {
        status.components = wanted(observation.spec).map { role, _ in
            var component = ModelEndpoint.Status.Component(name: role.rawValue, ready: false)
            guard case .found(let service)? = observation.processor(role)?.service, observation.owns(service) else {
                component.reason = ModelEndpointReason.creatingService.rawValue
                return component
            }
            component.url = service.uri
            component.ready = service.isReady && service.latestReadyRevision != nil
            if component.ready != true {
                component.reason =
                    (failure(service) == nil ? ModelEndpointReason.deploying : .processorFailed).rawValue
            }
            return component
        }
        for index in status.resources.indices {
            guard let role = status.resources[index].role.flatMap({ ProcessorRole(rawValue: $0) }),
                case .found(let service)? = observation.processor(role)?.service, observation.owns(service)
            else { continue }
            status.resources[index].state = "Active"
        }
    }

    /// What the spec says of processors that cannot be; nil when it can.
    static func invalid(_ observation: Observation) -> String? {
        let processors = wanted(observation.spec)
        guard let first = processors.first else { return nil }
        guard observation.predictor.googleServiceAccount != nil else {
            return "\(first.role.word) needs predictor.googleServiceAccount: it alone may call it"
        }
        for (role, processor) in processors {
            if let problem = ModelEndpointCost.problem(of: processor, role.word) { return problem }
            if let account = processor.googleServiceAccount,
                observation.configuration.runtimeAccounts[observation.namespace]?.contains(account) != true
            {
                return
                    "\(role.word).googleServiceAccount: the operator's --tenant-accounts does not allow \(account) for "
                    + "the namespace \(observation.namespace)"
            }
            if let problem = ModelEndpointPlan.problem(
                env: processor.env, account: processor.googleServiceAccount, role.word)
            {
                return problem
            }
        }
        return nil
    }
}

extension ModelEndpointObservation {
    func processor(_ role: ProcessorRole) -> ProcessorObservation? { processors.first { $0.role == role } }

    func owns(_ service: RunService) -> Bool {
        Ownership.isOurs(service.configuration.labels, ownerUID: uid, clusterUID: configuration.clusterUID)
    }
}
