public import ControllerRuntime
import Encoding
public import GoogleCloud
import HTTP
public import Kubernetes
import Synchronization

/// Runs TrainingJobs: reads the world for the plan, and does what it decided.
public final class TrainingJobController: Controller {
    public typealias Object = TrainingJob

    /// A create that the cloud refused for certain.
    struct Refusal {
        var error: APIError
        var time: Timestamp
    }

    let configuration: OperatorConfiguration
    let kubernetes: KubernetesClient
    let container: ContainerClient
    let storage: StorageClient
    /// nil: quotas are not looked at.
    let compute: ComputeClient?
    /// nil: images are not looked for.
    let registry: ArtifactRegistryClient?
    let clock: RuntimeClock
    let artifacts: ObjectStore<GCSArtifact>
    let jobs: ObjectStore<Job>
    let pods: ObjectStore<Pod>
    /// Their names and owners are all that counts.
    let services: ObjectStore<MetadataOnly<Service>>
    let nodes: ObjectStore<Node>
    /// Kueue's, where it is installed.
    let workloads: ObjectStore<Workload>
    /// The cluster autoscaler's, of candidates with FlexStart.
    let provisioningRequests: ObjectStore<ProvisioningRequest>
    /// By pool name. Memory only: after a restart the create is sent, and refused, once more.
    let refusals = Mutex<[String: Refusal]>([:])
    /// Since when steps stand still.
    let stepWatch = Mutex(StepWatch())
    let clockWatch = Mutex(ClockWatch())
    /// What became of the last hour's probes, by place.
    let probes = Mutex<[String: PreflightObservation.ProbeMemory]>([:])
    /// Digests of the last hour's images, by run and name.
    let images = Mutex<[String: (digest: String, time: Timestamp)]>([:])
    /// The cluster's pools and operations, shared by the rounds of all TrainingJobs.
    let poolList = SharedRead<[NodePool]>()
    let operationList = SharedRead<[ContainerOperation]>()

    public init(
        configuration: OperatorConfiguration, kubernetes: KubernetesClient, container: ContainerClient,
        storage: StorageClient, compute: ComputeClient? = nil, registry: ArtifactRegistryClient? = nil,
        cache: ObjectCache, clock: RuntimeClock
    ) {
        self.configuration = configuration
        self.kubernetes = kubernetes
        self.container = container
        self.storage = storage
        self.compute = compute
        self.registry = registry
        self.clock = clock
        artifacts = cache.store(GCSArtifact.self)
        jobs = cache.store(Job.self, labelSelector: Ownership.jobLabel)
        pods = cache.store(Pod.self, labelSelector: Ownership.jobLabel)
        services = cache.store(MetadataOnly<Service>.self, labelSelector: Ownership.jobLabel)
        nodes = cache.store(Node.self, labelSelector: Ownership.jobLabel)
        workloads = cache.store(Workload.self, labelSelector: Ownership.jobLabel, isOptional: true)
        provisioningRequests = cache.store(
            ProvisioningRequest.self, labelSelector: Ownership.jobLabel, isOptional: true)
    }

    public static var relations: [Relation<TrainingJob>] {
        [
            .children(Job.self, labelSelector: Ownership.jobLabel),
            .children(MetadataOnly<Service>.self, labelSelector: Ownership.jobLabel),
            .children(Workload.self, labelSelector: Ownership.jobLabel, isOptional: true),
            .children(ProvisioningRequest.self, labelSelector: Ownership.jobLabel, isOptional: true),
            .labelled(Pod.self, Ownership.jobLabel),
            .nodes,
            .references(GCSArtifact.self) { job in
                TrainingJobInputs.references(RunSpec(job.spec)).map {
                    ObjectKey(namespace: job.metadata.namespace, name: $0.name)
                }
            },
        ]
    }

    /// An object that another controller manages gets no finalizer and no status from us.
    public func isManaged(_ object: TrainingJob) -> Bool { object.spec.managedBy == TrainingJob.manager }

    /// A plan makes nothing that a finalizer would have to guard.
    public func needsFinalizer(_ object: TrainingJob) -> Bool { TrainingJobPlanMode.needsFinalizer(object) }

    public static func plan(
        _ observation: TrainingJobObservation
    ) -> Plan<TrainingJob.Status, TrainingJobAction> {
        TrainingJobPlan.plan(observation)
    }
}

extension Relation where Object == TrainingJob {
    /// Nodes of our pools carry the TrainingJob's namespace and name.
    fileprivate static var nodes: Relation {
        .referrers(Node.self, labelSelector: Ownership.jobLabel) { node in
            guard let name = node.metadata.labels?[Ownership.jobLabel] else { return [] }
            return [ObjectKey(namespace: node.metadata.labels?[Ownership.namespaceLabel], name: name)]
        }
    }
}
