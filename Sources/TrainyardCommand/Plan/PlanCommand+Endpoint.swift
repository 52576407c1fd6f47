import HTTP
import Kubernetes
import Operator
import System
import Telemetry

extension PlanCommand {
    /// A ModelEndpoint of the files with its plan.
    struct EndpointEntry: Sendable {
        var title: String
        var namespace: String
        var name: String
        var plan: ModelEndpoint.PlanStatus
        /// What was assumed, as sentences.
        var notes: [String]
    }

    /// All plans of the files.
    struct Plans: Sendable {
        var jobs: [Entry] = []
        var endpoints: [EndpointEntry] = []

        var hasProblems: Bool {
            jobs.contains { !$0.plan.problems.isEmpty } || endpoints.contains { !$0.plan.problems.isEmpty }
        }
    }

    func endpoint(
        _ document: ManifestDocument, among documents: [ManifestDocument], _ configuration: OperatorConfiguration,
        _ kubernetes: KubernetesClient
    ) async throws(RunError) -> EndpointEntry {
        var endpoint: ModelEndpoint
        do throws(APIError) {
            endpoint = try await kubernetes.get(ModelEndpoint.self, namespace: document.namespace, name: document.name)
        } catch {
            throw RunError(.software, "\(document.title) cannot be read back: \(error.message)")
        }
        endpoint.metadata.uid = nil
        let artifact = endpoint.spec.model.artifactRef.name
        let isThere = documents.contains {
            $0.type == GCSArtifact.resourceType && $0.name == artifact && $0.namespace == document.namespace
        }
        var notes = ["whether the version is verified and meets its requirements, only a cluster knows"]
        if !isThere { notes.append("GCSArtifact \(artifact) is not in the file: it must be in the cluster") }
        var assumed = configuration
        assumed.publicNamespaces = ["*"]
        if let account = endpoint.spec.predictor?.googleServiceAccount {
            assumed.runtimeAccounts[document.namespace, default: []].insert(account)
            notes.append("the operator's --tenant-accounts must allow \(account) for the namespace")
        }
        for member in endpoint.spec.access?.invokers ?? [] {
            assumed.accessMembers[document.namespace, default: []].insert(member)
        }
        if endpoint.spec.access?.allowUnauthenticated == true {
            notes.append("the operator's --public-endpoints must name the namespace")
        }
        var zones: [String: ZoneRules] = [:]
        for name in ModelEndpointPlanMode.zoneNames(of: endpoint) {
            zones[name] = ZoneFile.bytes(name).flatMap { ZoneRules(file: $0) }
        }
        let plan = ModelEndpointPlanMode.preview(
            endpoint, configuration: assumed, zones: zones, now: SystemClock().now)
        return EndpointEntry(
            title: document.title, namespace: document.namespace, name: document.name, plan: plan, notes: notes)
    }
}
