public import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes

/// All that the plan of a ModelEndpoint may look at.
public struct ModelEndpointObservation: Sendable, Equatable {
    public var endpoint: ModelEndpoint
    public var configuration: OperatorConfiguration
    public var now: Timestamp
    public var service: ServiceObservation = .notLooked
    /// Of the service, where it is ours; oldest first.
    public var revisions: [RunRevision] = []
    /// What `spec.model` names.
    public var model: ModelObservation = .missing(.artifactNotFound, "")
    /// Versions of the artifact that are not as published any more.
    public var changedVersions: Set<String> = []
    /// What the candidate answered in this round, where it was asked.
    public var smokeTests: [ModelEndpoint.Status.SmokeResult] = []
    /// What Cloud Monitoring says of the candidate, where it was asked, by the analysis's name.
    public var measurements: [Measurement] = []
    /// The service's IAM policy, where it matters.
    public var policy: IAMPolicy?
    /// The processors that the spec has, and those that may exist from an earlier one.
    public var processors: [ProcessorObservation] = []
    /// What Cloud Monitoring says of this month, where there is a budget.
    public var billing: BillingObservation = .notAsked
    /// Of the time zones that warm windows name, those that are known.
    public var zones: [String: ZoneRules] = [:]

    public init(endpoint: ModelEndpoint, configuration: OperatorConfiguration, now: Timestamp) {
        self.endpoint = endpoint
        self.configuration = configuration
        self.now = now
    }
}

/// What Cloud Run says about the service's name.
public enum ServiceObservation: Sendable, Hashable {
    case notLooked
    case absent
    case found(RunService)
}

/// What `spec.model` names.
public enum ModelObservation: Sendable, Hashable {
    case found(TargetModel)
    /// Not there (yet), or not to be served.
    case missing(ModelEndpointReason, String)
    /// The manifest could not be read: not the user's fault yet.
    case unreadable(APIError)
}

/// A version that can be served.
public struct TargetModel: Sendable, Hashable {
    public var version: String
    public var digest: String
    /// Where the artifact lies.
    public var place: StorageURI
    /// Where the version's files lie; below `place`.
    public var files: StorageURI
    /// The manifest; below `place`.
    public var manifest: StorageURI
    public var metrics: [String: String]
    /// `TrainingJob name`
    public var producer: String

    public init(
        version: String, digest: String, place: StorageURI, files: StorageURI, manifest: StorageURI,
        metrics: [String: String], producer: String
    ) {
        self.version = version
        self.digest = digest
        self.place = place
        self.files = files
        self.manifest = manifest
        self.metrics = metrics
        self.producer = producer
    }
}

/// A measured value of an analysis.
public struct Measurement: Sendable, Hashable {
    public var name: String
    /// nil: there is none yet.
    public var value: Double?
    /// Requests in the window.
    public var requestCount: Int

    public init(name: String, value: Double?, requestCount: Int) {
        self.name = name
        self.value = value
        self.requestCount = requestCount
    }
}

/// Side effects of a ModelEndpoint in the cloud. Each re-reads the service and touches it only if it is (still) ours.
public enum ModelEndpointAction: Sendable, Hashable {
    /// Creates the service whose intent is in the ledger; done when somebody has the name.
    case createService(String, RunServiceConfiguration, in: LocationName, owner: ObjectReference)
    /// Changes these fields of the service as it was read.
    case patchService(
        String, RunServiceConfiguration, fields: [String], etag: String?, in: LocationName, owner: ObjectReference)
    /// Takes back a service that an earlier object of that name left, as it was read.
    case adoptService(String, RunServiceConfiguration, etag: String?, in: LocationName, owner: ObjectReference)
    /// Makes these members, of those that are this object's matter, the ones that may call the service.
    case setInvokers([String], managed: [String], of: String, in: LocationName, owner: ObjectReference)
    /// Deletes a revision that gets no requests.
    case deleteRevision(String, of: String, etag: String?, in: LocationName, owner: ObjectReference)
    case deleteService(String, in: LocationName, owner: ObjectReference)
    /// Deletes a processor that the live object does not want any more, or that goes with it.
    case deleteProcessor(ProcessorRole, String, in: LocationName, owner: ObjectReference)
}

extension ModelEndpointObservation {
    typealias Status = ModelEndpoint.Status

    var status: ModelEndpoint.Status { endpoint.status ?? ModelEndpoint.Status() }
    var spec: ModelEndpoint.Spec { endpoint.spec }
    var uid: String { endpoint.metadata.ownerUID }
    var namespace: String { endpoint.metadata.namespace ?? "" }
    var rollout: ModelEndpoint.Rollout { spec.rollout ?? .standard }
    var predictor: ModelEndpoint.Predictor { spec.predictor ?? ModelEndpoint.Predictor() }
    /// No instance may run: as the spec says, or because the budget is used up.
    var isStopped: Bool { spec.suspend || ModelEndpointBudget.isStopped(status.cost, self) }
    /// For facts in status: whole seconds.
    var moment: Timestamp { now.wholeSeconds }

    /// How actions name the object.
    var owner: ObjectReference {
        ObjectReference(
            type: ModelEndpoint.resourceType, namespace: endpoint.metadata.namespace, name: endpoint.metadata.name,
            uid: endpoint.metadata.uid)
    }

    /// The service, when it is there and carries our labels.
    var ownService: RunService? {
        guard case .found(let service) = service,
            Ownership.isOurs(service.configuration.labels, ownerUID: uid, clusterUID: configuration.clusterUID)
        else { return nil }
        return service
    }

    func revision(_ name: String?) -> RunRevision? {
        guard let name else { return nil }
        return revisions.first { $0.id == name }
    }

    /// The model and what it is served by: what should be active.
    var target: (model: TargetModel, hash: String)? {
        guard case .found(let model) = model, ModelEndpointModel.unmet(spec, model) == nil else { return nil }
        return (model, ModelEndpointService.templateHash(self, model))
    }
}
