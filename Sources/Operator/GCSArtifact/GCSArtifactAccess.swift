import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// IAM bindings of the bucket that belong to an artifact: each carries a condition with the artifact's uid as its title, so
/// that it is known again, and limits what it gives to the artifact's place. All others are kept as they are.
enum GCSArtifactAccess {
    typealias Observation = GCSArtifactObservation
    typealias Decision = GCSArtifactDecision
    typealias Binding = IAMPolicy.Binding

    static let condition = "AccessGranted"
    /// Those that give nothing but objects.
    static let roles: Set<String> = [
        "roles/storage.objectViewer", "roles/storage.objectUser", "roles/storage.objectCreator",
        "roles/storage.objectAdmin",
    ]

    // MARK: Rules

    static func granting(_ observation: Observation) -> Decision? {
        guard let policy = observation.policy, let bucket = observation.ownBucket else { return nil }
        let wanted = bindings(observation.spec, bucket: bucket.name, uid: observation.uid)
        guard merged(policy, wanted, uid: observation.uid) != policy else { return nil }
        return Decision(
            steps: [.cloud(.setBindings(wanted, of: bucket.name, owner: observation.owner))],
            status: observation.status,
            situation: .waiting(.updatingAccess, "granting \(count(wanted)) on \(bucket.name)"),
            next: .after(observation.configuration.pollInterval))
    }

    /// What was granted goes with the object, whatever becomes of the data.
    static func revoking(_ observation: Observation) -> Decision? {
        guard let policy = observation.policy, let bucket = observation.ownBucket,
            merged(policy, [], uid: observation.uid) != policy
        else { return nil }
        return Decision(
            steps: [.cloud(.setBindings([], of: bucket.name, owner: observation.owner))], status: observation.status,
            situation: .deleting("taking back access to \(bucket.name)"), next: .after(.zero))
    }

    /// Why the spec's bindings are not made; nil when they are fine.
    static func problem(_ observation: Observation) -> String? {
        for binding in observation.spec.access?.bindings ?? [] {
            guard roles.contains(binding.role) else {
                return "access.bindings: \(binding.role) cannot be granted here; choose of "
                    + roles.sorted().joined(separator: ", ")
            }
            for member in binding.members
            where !observation.configuration.mayGiveAccess(
                to: member, in: observation.artifact.metadata.namespace ?? "")
            {
                return
                    "access.bindings: \(member) may not be given access by this namespace: it is no service account of "
                    + "the project \(observation.configuration.cluster.project), and the operator's --access-members does "
                    + "not name it"
            }
        }
        return nil
    }

    // MARK: The policy

    /// The spec's bindings as the bucket's policy holds them.
    static func bindings(_ spec: GCSArtifact.Spec, bucket: String, uid: String) -> [Binding] {
        (spec.access?.bindings ?? []).map { binding in
            Binding(
                role: binding.role, members: Set(binding.members).sorted(),
                condition: .init(
                    expression: expression(bucket: bucket, prefix: spec.prefix ?? ""), title: title(uid),
                    description: "made by trainyard for a GCSArtifact"))
        }.sorted { $0.role < $1.role }
    }

    static func title(_ uid: String) -> String { "trainyard-\(uid)" }

    /// Objects below the prefix, and lists of nothing else. Names of prefixes have no quotes and backslashes.
    private static func expression(bucket: String, prefix: String) -> String {
        let name = "projects/_/buckets/\(bucket)"
        guard !prefix.isEmpty else { return "resource.name.startsWith(\"\(name)\")" }
        return "resource.name.startsWith(\"\(name)/objects/\(prefix)\") || "
            + "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"\(prefix)\")"
    }

    /// The policy with exactly these bindings as this artifact's. It is the policy itself where it has them already, in
    /// whatever order.
    static func merged(_ policy: IAMPolicy, _ wanted: [Binding], uid: String) -> IAMPolicy {
        let all = policy.bindings ?? []
        let own = all.filter { $0.condition?.title == title(uid) }
        if Set(own.map(canonical)) == Set(wanted.map(canonical)) { return policy }
        var policy = policy
        policy.bindings = all.filter { $0.condition?.title != title(uid) } + wanted
        policy.version = 3
        return policy
    }

    private static func canonical(_ binding: Binding) -> [String] {
        [binding.role, binding.condition?.expression ?? ""] + Set(binding.members ?? []).sorted()
    }

    static func count(_ bindings: [Binding]) -> String {
        "\(bindings.count) role\(bindings.count == 1 ? "" : "s")"
    }
}
