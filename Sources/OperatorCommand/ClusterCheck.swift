import Encoding
import HTTP
import Kubernetes
import Operator
import System

/// What the chart's hooks run, in the operator's image, because that has neither a shell nor kubectl.
struct ClusterCheck: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        /// Whether the operator may go.
        ///
        /// - definitionsGo: the CustomResourceDefinitions, and with them all objects, go too.
        case removal(definitionsGo: Bool)
        /// Whether an operator works: a TrainingJob of mode Plan gets its plan. It is deleted afterwards.
        case installation(namespace: String?, timeout: Duration)
    }

    var kind: Kind
    var kubeconfig: String?
    var context: String?

    /// nil when the first argument is no check.
    static func parse(_ arguments: [String]) throws(Options.UsageError) -> ClusterCheck? {
        guard let name = arguments.first, ["check-removal", "check-installation"].contains(name) else { return nil }
        var check = ClusterCheck(kind: .removal(definitionsGo: false))
        var namespace: String?
        var timeout = 120
        var rest = arguments.dropFirst()
        while let argument = rest.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if name == "check-removal", argument == "--definitions-go" {
                check.kind = .removal(definitionsGo: true)
                continue
            }
            let known =
                ["--kubeconfig", "--context"]
                + (name == "check-installation" ? ["--namespace", "--timeout-seconds"] : [])
            guard known.contains(parts[0]) else {
                throw Options.UsageError(message: "\(name): unknown argument: \(argument)")
            }
            guard let value = parts.count == 2 ? parts[1] : rest.popFirst(), !value.isEmpty else {
                throw Options.UsageError(message: "\(parts[0]) needs a value")
            }
            switch parts[0] {
            case "--kubeconfig": check.kubeconfig = value
            case "--context": check.context = value
            case "--namespace": namespace = value
            default:
                guard let seconds = Int(value), (1...3600).contains(seconds) else {
                    throw Options.UsageError(message: "--timeout-seconds: expected a number from 1 to 3600")
                }
                timeout = seconds
            }
        }
        if name == "check-installation" {
            check.kind = .installation(namespace: namespace, timeout: .seconds(timeout))
        }
        return check
    }

    /// Runs it and says what came of it on standard error; returns the exit status: 1 for a no.
    func run(environment: [String: String], stop: StopRequest) async -> Int32 {
        do {
            let connection = try ClusterConnection.find(
                kubeconfig: kubeconfig, context: context, environment: environment)
            let client = try connection.client(userAgent: "trainyard-operator/\(Version.text)")
            switch kind {
            case .removal(let definitionsGo):
                let problems = try await RemovalCheck(kubernetes: client, definitionsGo: definitionsGo).problems()
                guard !problems.isEmpty else {
                    say("nothing keeps the operator from being removed")
                    return 0
                }
                say(RemovalCheck.refusal(problems))
                return 1
            case .installation(let namespace, let timeout):
                let check = InstallationCheck(
                    kubernetes: client,
                    namespace: namespace ?? connection.namespace ?? environment["POD_NAMESPACE"] ?? "default",
                    timeout: timeout)
                say(try await check.run(stop: stop))
                return 0
            }
        } catch let error as ConfigurationError {
            say("the cluster cannot be found: \(error.message)")
            return ExitStatus.configuration
        } catch let error as APIError {
            say("\(error.description)")
            return 1
        } catch {
            say("\(error)")
            return 1
        }
    }
}

/// Whether objects need the operator that is about to go.
struct RemovalCheck: Sendable {
    /// More are counted, not named.
    static let nameLimit = 20
    private static let kinds: [(type: ResourceType, advice: String)] = [
        (TrainingJob.resourceType, "suspend or delete it, and wait for ComputeReleased"),
        (ModelEndpoint.resourceType, "delete it (deletionPolicy Orphan leaves the service)"),
        (GCSArtifact.resourceType, "delete it (deletionPolicy Retain leaves the bucket)"),
    ]

    let kubernetes: KubernetesClient
    let definitionsGo: Bool

    /// One line for each object that has machines or services in the cloud, which nobody would release; when the
    /// definitions go, for each that nobody would let go of.
    func problems() async throws(APIError) -> [String] {
        var problems: [String] = []
        for kind in Self.kinds {
            for object in try await objects(of: kind.type) {
                guard let problem = problem(of: object, kind.type) else { continue }
                problems.append("\(problem): \(kind.advice)")
            }
        }
        return problems
    }

    static func refusal(_ problems: [String]) -> String {
        let more = problems.count > nameLimit ? ["and \(problems.count - nameLimit) more"] : []
        return
            (["Without the operator nobody would release what these objects have, and it would go on costing money:"]
            + problems.prefix(nameLimit) + more
            + ["To remove the operator anyway: helm uninstall --no-hooks."])
            .joined(separator: "\n")
    }

    /// None where the definition is not there.
    private func objects(of type: ResourceType) async throws(APIError) -> [JSONValue] {
        do throws(APIError) {
            return try await kubernetes.list(type).items
        } catch  where error.code == .notFound {
            return []
        }
    }

    private func problem(of object: JSONValue, _ type: ResourceType) -> String? {
        let metadata = object["metadata"]
        let name = "\(type.kind) \(metadata?["namespace"]?.stringValue ?? "")/\(metadata?["name"]?.stringValue ?? "")"
        let resources = (object["status"]?["resources"]?.arrayValue ?? []).compactMap { $0["externalRef"]?.stringValue }
        // A bucket is data: it stays, and so does its object as long as there are definitions.
        if type != GCSArtifact.resourceType, let first = resources.first {
            return "\(name) has \(first)" + (resources.count > 1 ? " and \(resources.count - 1) more" : "")
        }
        let finalizers = metadata?["finalizers"]?.arrayValue ?? []
        guard definitionsGo, finalizers.contains(.string(Ownership.finalizer)) else { return nil }
        return "\(name) could never be deleted, because its finalizer is the operator's"
    }
}
