import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Operator
import Sandbox
import Telemetry

/// `trainyard plan FILE…`: what `mode: Plan` would write, without any cluster. The files are checked by the schema and the
/// rules that an API server would check them by.
struct PlanCommand: Sendable {
    /// A TrainingJob of the files with its plan.
    struct Entry: Sendable {
        var title: String
        var namespace: String
        var name: String
        var plan: TrainingJob.PlanStatus
        /// What was assumed, as sentences.
        var notes: [String]
    }

    /// Of candidates that name none, where the command line names none either.
    static let defaultZones = ["us-central1-a", "us-central1-b", "us-central1-c"]

    let options: PlanOptions
    let console: Console
    let complaints: Console

    /// Prints the plans; returns the exit status: 1 when something would stop one of the runs.
    func run() async -> Int32 {
        do throws(RunError) {
            let plans = try await plans(of: try ManifestFile.read(options.files))
            if options.isJSON {
                FileDescriptor.write(try PlanText.json(plans) + "\n", to: 1)
            } else {
                let texts = plans.jobs.map(PlanText.text) + plans.endpoints.map(PlanText.text)
                console.line(texts.joined(separator: "\n\n"))
            }
            return plans.hasProblems ? RunError(.failed, "").exitStatus : 0
        } catch {
            complaints.line("trainyard: \(error.message)")
            return error.exitStatus
        }
    }

    /// The plans of all TrainingJobs and ModelEndpoints among the documents, in their order.
    ///
    /// - Throws: `.badData` with the place of what an API server would refuse, or when there is neither.
    func plans(of documents: [ManifestDocument]) async throws(RunError) -> Plans {
        let configuration = try configuration()
        let kinds = [TrainingJob.resourceType, ModelEndpoint.resourceType]
        guard documents.contains(where: { kinds.contains($0.type) }) else {
            throw RunError(
                .badData,
                "there is no TrainingJob and no ModelEndpoint in "
                    + Set(documents.map(\.file)).sorted().joined(separator: ", "))
        }
        let kubernetes = try Self.server()
        try await Self.apply(documents, to: kubernetes)
        var plans = Plans()
        for document in documents {
            if document.type == TrainingJob.resourceType {
                plans.jobs.append(try await entry(document, among: documents, configuration, kubernetes))
            } else if document.type == ModelEndpoint.resourceType {
                plans.endpoints.append(try await endpoint(document, among: documents, configuration, kubernetes))
            }
        }
        return plans
    }

    private func configuration() throws(RunError) -> OperatorConfiguration {
        guard let cluster = ClusterName("projects/plan/locations/us-central1/clusters/plan") else {
            throw RunError(.software, "the plan's cluster has no valid name")
        }
        var prices = PriceTable.builtIn
        if let file = options.priceFile {
            let text = try LocalFiles.text(file)
            do throws(PriceOverrides.FormatError) {
                prices.overrides = try PriceOverrides(json: text)
            } catch {
                throw RunError(.badData, "\(file): \(error.message)")
            }
        }
        return OperatorConfiguration(
            cluster: cluster, clusterUID: "plan", zones: options.zones.isEmpty ? Self.defaultZones : options.zones,
            trainerImage: SandboxSettings.trainerImage, prices: prices)
    }

    /// An API server of its own, in this process: it has the kinds, their defaults and their rules.
    private static func server() throws(RunError) -> KubernetesClient {
        let crds = try EmbeddedFiles.crds()
        let admin = SimulatedUser(name: "admin", groups: ["system:masters"])
        let cluster: SimulatedCluster
        do throws(SandboxError) {
            cluster = try SimulatedCluster(
                ClusterConfiguration(crds: crds, users: ["plan": admin], clock: SystemClock()))
        } catch {
            throw RunError(.software, "the CustomResourceDefinitions cannot be read: \(error.message)")
        }
        return KubernetesClient(
            transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
            credentials: { () throws(APIError) in "plan" })
    }

    private static func apply(_ documents: [ManifestDocument], to kubernetes: KubernetesClient) async throws(RunError) {
        let type = ResourceType(group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false)
        let own = documents.filter { $0.type == type }.map(\.name)
        let used = Set(documents.filter(\.type.isNamespaced).map(\.namespace))
        for name in used.subtracting(own).subtracting(["default"]).sorted() {
            do throws(APIError) {
                try await kubernetes.create(type, ["metadata": ["name": .string(name)]])
            } catch {
                throw RunError(.badData, "namespace \(name): \(error.message)")
            }
        }
        for document in documents { try await ManifestApply.create(document, with: kubernetes) }
    }

    private func entry(
        _ document: ManifestDocument, among documents: [ManifestDocument], _ configuration: OperatorConfiguration,
        _ kubernetes: KubernetesClient
    ) async throws(RunError) -> Entry {
        var job: TrainingJob
        do throws(APIError) {
            job = try await kubernetes.get(TrainingJob.self, namespace: document.namespace, name: document.name)
        } catch {
            throw RunError(.software, "\(document.title) cannot be read back: \(error.message)")
        }
        job.metadata.uid = nil
        var notes: [String] = []
        var artifacts: [String: ArtifactObservation] = [:]
        for name in TrainingJobPlanMode.artifactNames(of: job) {
            let isThere = documents.contains {
                $0.type == GCSArtifact.resourceType && $0.name == name && $0.namespace == document.namespace
            }
            if !isThere { notes.append("GCSArtifact \(name) is not in the file: it must be in the cluster") }
            artifacts[name] = ArtifactObservation(isReady: true, uri: "gs://\(name)/")
        }
        if options.zones.isEmpty, job.spec.capacity?.candidates.contains(where: { $0.zones == nil }) ?? true {
            notes.append(
                "zones that the file does not name: \(Self.defaultZones.joined(separator: ", ")) are assumed; --zones says "
                    + "which your cluster has")
        }
        let plan = TrainingJobPlanMode.preview(
            job, configuration: configuration, artifacts: artifacts, now: SystemClock().now)
        return Entry(
            title: document.title, namespace: document.namespace, name: document.name, plan: plan, notes: notes)
    }
}
