public import ControllerRuntime
import Encoding
public import GoogleCloud
public import HTTP
public import Kubernetes
import Synchronization
public import Telemetry

/// Serves verified models by Cloud Run: reads the world for the plan, and does what it decided.
public final class ModelEndpointController: Controller {
    public typealias Object = ModelEndpoint

    /// Manifests that are remembered: a version's never changes.
    private static let manifestLimit = 256

    let configuration: OperatorConfiguration
    let kubernetes: KubernetesClient
    let run: RunClient
    let invoker: RunInvoker
    let monitoring: MonitoringClient
    let storage: StorageClient
    let clock: any WallClock
    private let artifacts: ObjectStore<GCSArtifact>
    let billingMemory = BillingMemory()
    private let zoneFile: @Sendable (String) -> [UInt8]?
    private let manifests = Mutex<[String: GCSArtifactManifest]>([:])

    /// - Parameter zoneFile: the TZif file of a time zone; nil where it is not known.
    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, run: RunClient, invoker: RunInvoker,
        monitoring: MonitoringClient, storage: StorageClient, cache: ObjectCache, clock: any WallClock,
        zoneFile: @escaping @Sendable (String) -> [UInt8]? = { _ in nil }
    ) {
        self.configuration = configuration
        self.kubernetes = kubernetes
        self.run = run
        self.invoker = invoker
        self.monitoring = monitoring
        self.storage = storage
        self.clock = clock
        self.zoneFile = zoneFile
        artifacts = cache.store(GCSArtifact.self)
    }

    public static var relations: [Relation<ModelEndpoint>] {
        [
            .references(GCSArtifact.self) { endpoint in
                [ObjectKey(namespace: endpoint.metadata.namespace, name: endpoint.spec.model.artifactRef.name)]
            }
        ]
    }

    public static func plan(
        _ observation: ModelEndpointObservation
    ) -> Plan<ModelEndpoint.Status, ModelEndpointAction> {
        ModelEndpointPlan.plan(observation)
    }

    public func needsFinalizer(_ object: ModelEndpoint) -> Bool { ModelEndpointPlanMode.needsFinalizer(object) }

    func zoneRules(_ name: String) -> ZoneRules? { zoneFile(name).flatMap { ZoneRules(file: $0) } }

    // MARK: Observing

    public func observe(_ object: ModelEndpoint) async throws(APIError) -> ModelEndpointObservation {
        var observation = ModelEndpointObservation(endpoint: object, configuration: configuration, now: clock.now)
        if object.metadata.isDeleting {
            // From what was really created.
            let ledger = ModelEndpointDeletion.place(observation.status)
            if let ledger { observation.service = try await service(ledger.id, in: ledger.location) }
            try await observeProcessors(&observation)
            return observation
        }
        observation.zones = zones(object.spec)
        try await observeModel(&observation)
        guard object.spec.backend.cloudRun != nil else { return observation }
        let id = ModelEndpointService.id(observation)
        let location = ModelEndpointService.location(observation)
        observation.service = try await service(id, in: location)
        try await observeProcessors(&observation)
        guard let service = observation.ownService else { return observation }
        observation.revisions = try await run.revisions(of: id, in: location).items
            .filter { $0.deleteTime == nil }.sorted { $0.id < $1.id }
        observation.billing = try await billing(observation, service)
        if !ModelEndpointAccess.wanted(object.spec).isEmpty || !observation.status.invokers.isEmpty,
            observation.status.active != nil
        {
            observation.policy = try await run.policy(ofService: id, in: location)
        }
        try await observeCandidate(&observation, service)
        return observation
    }

    func service(_ id: String, in location: LocationName) async throws(APIError) -> ServiceObservation {
        do throws(APIError) {
            return .found(try await run.service(id, in: location))
        } catch {
            guard error.code == .notFound else { throw error }
            return .absent
        }
    }

    // MARK: The model

    private func observeModel(_ observation: inout ModelEndpointObservation) async throws(APIError) {
        let endpoint = observation.endpoint
        let reference = endpoint.spec.model.artifactRef
        let artifact = artifacts[ObjectKey(namespace: endpoint.metadata.namespace, name: reference.name)]
        let versions = artifact?.status?.versions ?? []
        observation.changedVersions = Set(versions.filter { $0.verified == false }.map(\.name))
        switch ModelEndpointModel.resolve(reference, in: artifact) {
        case .missing(let reason, let message): observation.model = .missing(reason, message)
        case .named(let named):
            guard let place = artifact?.status?.uri.flatMap({ StorageURI($0) }),
                let address = GCSArtifactManifest.place(version: named.version, in: place)
            else {
                observation.model = .missing(.versionNotFound, "\(reference.name) is not in place yet")
                return
            }
            observation.model = try await model(named, place: place, address, reference.name, endpoint)
        }
    }

    /// The version with its manifest, read as whom the namespace stands for.
    private func model(
        _ named: ModelEndpointModel.Named, place: StorageURI, _ address: StorageURI, _ artifact: String,
        _ endpoint: ModelEndpoint
    ) async throws(APIError) -> ModelObservation {
        let manifest: GCSArtifactManifest?
        do throws(APIError) {
            manifest = try await CallOwner.named(endpoint.metadata.namespace ?? "") { () async throws(APIError) in
                try await self.manifest(named.digest, at: address)
            }
        } catch {
            if error.code == .cancelled { throw error }
            return .unreadable(error)
        }
        guard let manifest, let files = StorageURI(manifest.uri), files.bucket == place.bucket,
            files.path.hasPrefix(place.path)
        else {
            return .missing(
                .versionNotVerified, "the manifest of version \(named.version) of \(artifact) is not the published one")
        }
        return .found(
            TargetModel(
                version: named.version, digest: named.digest, place: place, files: files, manifest: address,
                metrics: manifest.metrics, producer: "\(manifest.producer.kind) \(manifest.producer.name)"))
    }

    /// nil when what lies there is not what the digest stands for.
    private func manifest(_ digest: String, at place: StorageURI) async throws(APIError) -> GCSArtifactManifest? {
        if let known = manifests.withLock({ $0["\(digest) \(place)"] }) { return known }
        let limit = GCSArtifactController.maximumManifestBytes
        let bytes = try await storage.read(place.path, in: place.bucket, limit: limit).bytes
        guard GCSArtifactManifest.digest(bytes) == digest, var manifest = GCSArtifactManifest(bytes) else { return nil }
        manifest.files = []  // Thousands of them may be listed; nothing here needs them.
        let kept = manifest
        manifests.withLock { manifests in
            if manifests.count >= Self.manifestLimit { manifests = [:] }
            manifests["\(digest) \(place)"] = kept
        }
        return kept
    }
}
