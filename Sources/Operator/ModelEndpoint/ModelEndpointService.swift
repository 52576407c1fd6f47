import Encoding
import GoogleCloud
import Kubernetes

/// What the Cloud Run service of an endpoint is: names, labels, the template of a revision, settings.
enum ModelEndpointService {
    typealias Observation = ModelEndpointObservation

    static let role = "Service"
    /// Where the artifact's place is mounted.
    static let mountPath = "/mnt/artifact"
    /// Gives the candidate a URL of its own.
    static let candidateTag = "candidate"

    /// Annotations of a revision.
    enum Annotation {
        static let templateHash = "trainyard.dev/template-hash"
        static let modelVersion = "trainyard.dev/model-version"
        static let modelDigest = "trainyard.dev/model-digest"
        static let producer = "trainyard.dev/producer"
    }

    // MARK: Names

    static func location(_ observation: Observation) -> LocationName {
        LocationName(
            project: observation.configuration.cluster.project,
            location: observation.spec.backend.cloudRun?.location ?? "")
    }

    /// `<name>-<8 digits>`: at most 49 characters, the same for every object of that name in this cluster.
    static func id(_ observation: Observation) -> String {
        id(observation.owner, clusterUID: observation.configuration.clusterUID)
    }

    static func id(_ owner: ObjectReference, clusterUID: String) -> String {
        "\(owner.name)-\(Digest.sha256Hex("\(clusterUID)\n\(owner.namespace ?? "")\n\(owner.name)").prefix(8))"
    }

    static func reference(_ id: String, in location: LocationName) -> String {
        "//run.googleapis.com/\(location)/services/\(id)"
    }

    /// What an entry of the ledger names.
    static func place(of reference: String) -> (id: String, location: LocationName)? {
        let parts = reference.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 9, parts[2] == "run.googleapis.com", parts[7] == "services",
            let location = LocationName(parts[3...6].joined(separator: "/"))
        else { return nil }
        return (parts[8], location)
    }

    static func revisionName(_ number: Int, of service: String) -> String {
        let digits = String(number)
        return "\(service)-\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits)"
    }

    static func revisionNumber(_ name: String) -> Int {
        name.split(separator: "-").last.flatMap { Int($0) } ?? 0
    }

    // MARK: Revisions

    /// What a revision is made of, as the user sees it: the same is never rolled out twice, and an upgrade of the operator
    /// that writes templates in another way rolls nothing out.
    private struct Content: Encodable {
        var image: String
        var predictor: ModelEndpoint.Predictor
        var vpc: ModelEndpoint.Backend.VPC?
        var loading: ModelEndpoint.Model.Loading
        var digest: String
        /// nil without any: revisions from before there were some stay what they are.
        var processors: [String]?
    }

    static func image(_ observation: Observation) -> String {
        observation.predictor.image ?? observation.configuration.trainerImage
    }

    /// `v1:sha256:<32 digits>`
    static func templateHash(_ observation: Observation, _ model: TargetModel) -> String {
        let processors = ModelEndpointProcessors.wanted(observation.spec).map(\.role.rawValue)
        let content = Content(
            image: image(observation), predictor: observation.predictor, vpc: observation.spec.backend.cloudRun?.vpc,
            loading: observation.spec.model.loading, digest: model.digest,
            processors: processors.isEmpty ? nil : processors)
        // It was decoded from JSON: it can be encoded.
        let text = ((try? JSONValue(encoding: content)) ?? .null).serializedText()
        return "v1:sha256:\(Digest.sha256Hex(text).prefix(32))"
    }

    /// The facts about a revision that its annotations keep.
    static func facts(of revision: RunRevision) -> ModelEndpoint.Status.Revision {
        var facts = ModelEndpoint.Status.Revision(revision: revision.id)
        let annotations = revision.annotations ?? [:]
        facts.modelVersion = annotations[Annotation.modelVersion]
        facts.modelDigest = annotations[Annotation.modelDigest]
        facts.templateHash = annotations[Annotation.templateHash]
        facts.producer = annotations[Annotation.producer]
        facts.image = revision.containers?.first?.image.map { String($0.prefix(600)) }
        return facts
    }

    static func template(_ name: String, _ observation: Observation, _ model: TargetModel) -> RunRevisionTemplate {
        let predictor = observation.predictor
        var template = RunRevisionTemplate(containers: [container(observation, model)])
        template.revision = name
        template.labels = Ownership.retainableLabels(
            observation.owner, clusterUID: observation.configuration.clusterUID)
        template.annotations = [
            Annotation.templateHash: templateHash(observation, model), Annotation.modelVersion: model.version,
            Annotation.modelDigest: model.digest, Annotation.producer: model.producer,
        ]
        template.timeout = "\(predictor.timeoutSeconds)s"
        template.maxInstanceRequestConcurrency = predictor.concurrency
        template.serviceAccount = predictor.googleServiceAccount
        if observation.spec.model.loading == .mount {
            template.volumes = [volume(model)]
            template.executionEnvironment = "EXECUTION_ENVIRONMENT_GEN2"
        }
        if let gpu = predictor.accelerator?.gpu {
            template.executionEnvironment = "EXECUTION_ENVIRONMENT_GEN2"
            template.nodeSelector = .init(accelerator: gpu.type.rawValue)
            template.gpuZonalRedundancyDisabled = !gpu.zonalRedundancy
        }
        if let vpc = observation.spec.backend.cloudRun?.vpc {
            template.vpcAccess = access(vpc)
        }
        return template
    }

    static func access(_ vpc: ModelEndpoint.Backend.VPC) -> RunRevisionTemplate.VPCAccess {
        .init(
            egress: vpc.egress == .allTraffic ? "ALL_TRAFFIC" : "PRIVATE_RANGES_ONLY",
            networkInterfaces: [.init(network: vpc.network, subnetwork: vpc.subnetwork)])
    }

    private static func volume(_ model: TargetModel) -> RunVolume {
        var options = ["implicit-dirs"]
        if !model.place.path.isEmpty { options.append("only-dir=\(model.place.path.dropLast())") }
        return RunVolume(
            name: "artifact", gcs: .init(bucket: model.place.bucket, readOnly: true, mountOptions: options))
    }

    private static func container(_ observation: Observation, _ model: TargetModel) -> RunContainer {
        let predictor = observation.predictor
        let isBuiltIn = predictor.image == nil
        var container = RunContainer(image: image(observation))
        container.name = "predictor"
        container.command = predictor.command
        container.args = predictor.args ?? (isBuiltIn && predictor.command == nil ? ["serve"] : nil)
        container.env =
            (predictor.env ?? []).sorted { $0.name < $1.name }.map(variable)
            + environment(observation, model)
        container.ports = [.init(containerPort: predictor.port)]
        container.resources = resources(
            limits: predictor.resources?.limits, hasGPU: predictor.accelerator != nil)
        if observation.spec.model.loading == .mount {
            container.volumeMounts = [.init(name: "artifact", mountPath: mountPath)]
        }
        let usual = isBuiltIn ? standardProbe(predictor) : nil
        container.startupProbe = predictor.probes?.startup.map { probe($0, predictor) } ?? usual
        container.livenessProbe = predictor.probes?.liveness.map { probe($0, predictor) }
        return container
    }

    static func variable(
        _ given: ModelEndpoint.Predictor.EnvironmentVariable
    ) -> RunContainer.EnvironmentVariable {
        guard let secret = given.valueFrom?.secretKeyRef else {
            return .init(name: given.name, value: given.value ?? "")
        }
        return .init(name: given.name, secret: secret.name, version: secret.key)
    }

    private static func environment(
        _ observation: Observation, _ model: TargetModel
    ) -> [RunContainer.EnvironmentVariable] {
        func path(_ uri: StorageURI) -> String {
            guard observation.spec.model.loading == .mount else { return uri.description }
            return "\(mountPath)/\(uri.path.dropFirst(model.place.path.count))"
        }
        return [
            .init(name: "ML_MODEL_DIGEST", value: model.digest),
            .init(name: "ML_MODEL_MANIFEST_URI", value: path(model.manifest)),
            .init(name: "ML_MODEL_NAME", value: observation.endpoint.metadata.name),
            .init(name: "ML_MODEL_URI", value: path(model.files)),
            .init(name: "ML_MODEL_VERSION", value: model.version),
        ] + processors(observation)
    }

    /// Where the processors are, once they are.
    private static func processors(_ observation: Observation) -> [RunContainer.EnvironmentVariable] {
        ModelEndpointProcessors.wanted(observation.spec).compactMap { role, _ in
            guard case .found(let service)? = observation.processor(role)?.service, let url = service.uri else {
                return nil
            }
            return .init(name: role.variable, value: url)
        }
    }

    static func resources(
        limits given: ModelEndpoint.Predictor.Resources.Limits?, hasGPU: Bool
    ) -> RunContainer.Resources {
        var limits: [String: String] = [:]
        limits["cpu"] = given?.cpu.flatMap(quantity)
        limits["memory"] = given?.memory.flatMap(quantity)
        if hasGPU { limits["nvidia.com/gpu"] = "1" }
        return .init(limits: limits, cpuIdle: !hasGPU, startupCpuBoost: true)
    }

    /// `4` and `"4"` are the same.
    static func quantity(_ value: JSONValue) -> String? { value.stringValue ?? value.integerValue.map(String.init) }

    /// A server that is ready within a second is asked every second: a cold start waits for it.
    private static func standardProbe(_ predictor: ModelEndpoint.Predictor) -> RunProbe {
        var probe = RunProbe(httpGet: .init(path: "/health", port: predictor.port))
        probe.periodSeconds = 1
        probe.timeoutSeconds = 1
        probe.failureThreshold = 240
        return probe
    }

    private static func probe(
        _ given: ModelEndpoint.Predictor.Probe, _ predictor: ModelEndpoint.Predictor
    ) -> RunProbe {
        var probe = RunProbe(httpGet: .init(path: given.httpGet.path, port: given.httpGet.port ?? predictor.port))
        probe.initialDelaySeconds = given.initialDelaySeconds
        probe.periodSeconds = given.periodSeconds
        probe.timeoutSeconds = given.timeoutSeconds
        probe.failureThreshold = given.failureThreshold
        return probe
    }
}
