import Encoding
import GoogleCloud
import Kubernetes

@testable import Operator

/// Builders for observations of ModelEndpoints.
enum Endpoints {
    static let uid = "33333333-cccc"
    static let now = Artifacts.now

    static func model(_ version: String = "v1", metrics: [String: String] = ["test_accuracy": "91.5"]) -> TargetModel {
        let digest = "sha256:" + String(repeating: version == "v1" ? "1" : "2", count: 64)
        return TargetModel(
            version: version, digest: digest, place: uri("gs://models/digits/"),
            files: uri("gs://models/digits/\(version)/"),
            manifest: uri("gs://models/digits/manifests/\(version).json"), metrics: metrics,
            producer: "TrainingJob digits")
    }

    static func uri(_ text: String) -> StorageURI {
        guard let uri = StorageURI(text) else { preconditionFailure("\(text) is valid") }
        return uri
    }

    static func endpoint(
        status: ModelEndpoint.Status? = nil, isDeleting: Bool = false,
        _ change: (inout ModelEndpoint.Spec) -> Void = { _ in }
    ) -> ModelEndpoint {
        var spec = ModelEndpoint.Spec(
            mode: .apply, suspend: false,
            backend: .init(type: .cloudRun, cloudRun: .init(location: "us-central1", ingress: .internalOnly)),
            model: .init(artifactRef: .init(name: "digits", alias: "production"), loading: .mount),
            scaling: .init(minReplicas: 0, maxReplicas: 2), driftPolicy: .correct, deletionPolicy: .delete)
        change(&spec)
        return ModelEndpoint(
            metadata: ObjectMeta(
                name: "digits", namespace: "ml", uid: uid, resourceVersion: "7", generation: 3,
                deletionTimestamp: isDeleting ? now : nil),
            spec: spec, status: status)
    }

    static func observation(
        _ endpoint: ModelEndpoint, model: TargetModel = model()
    ) -> ModelEndpointObservation {
        var observation = ModelEndpointObservation(
            endpoint: endpoint, configuration: Artifacts.configuration, now: now)
        observation.service = .absent
        observation.model = .found(model)
        return observation
    }

    static func revisionName(_ number: Int) -> String {
        let id = ModelEndpointService.id(observation(endpoint()))
        return ModelEndpointService.revisionName(number, of: id)
    }

    static func revision(
        _ number: Int, _ model: TargetModel, state: String = "CONDITION_SUCCEEDED", message: String? = nil,
        of observation: ModelEndpointObservation
    ) throws -> RunRevision {
        let template = ModelEndpointService.template(revisionName(number), observation, model)
        var value = try JSONValue(encoding: template)
        let service = ModelEndpointService.id(observation)
        value["name"] = .string(
            "projects/sandbox-project/locations/us-central1/services/\(service)/revisions/\(revisionName(number))")
        var condition: JSONValue = ["type": "Ready", "state": .string(state)]
        if let message { condition["message"] = .string(message) }
        value["conditions"] = [condition]
        return try value.decode(RunRevision.self)
    }

    /// The service as these facts want it, with all in force.
    static func service(
        _ status: ModelEndpoint.Status, _ observation: ModelEndpointObservation,
        _ change: (inout JSONValue) -> Void = { _ in }
    ) throws -> RunService {
        let configuration = ModelEndpointSettings.configuration(status, observation)
        var value = try JSONValue(encoding: configuration)
        value["name"] = .string(
            "projects/sandbox-project/locations/us-central1/services/\(ModelEndpointService.id(observation))")
        value["generation"] = "1"
        value["observedGeneration"] = "1"
        value["etag"] = "e1"
        value["uri"] = "https://digits.run.app"
        value["trafficStatuses"] = .array(
            (configuration.traffic ?? []).map { target in
                var entry: JSONValue = ["percent": .integer(Int64(target.percent ?? 0))]
                if let name = target.revision { entry["revision"] = .string(name) }
                if let tag = target.tag {
                    entry["tag"] = .string(tag)
                    entry["uri"] = "https://candidate---digits.run.app"
                }
                return entry
            })
        change(&value)
        return try value.decode(RunService.self)
    }

    /// `v1` serves as revision 1, and `v2` is wanted.
    static func rolling(
        _ change: (inout ModelEndpoint.Spec) -> Void = { _ in },
        candidate changeCandidate: (inout ModelEndpoint.Status.Candidate) -> Void = { _ in }
    ) throws -> ModelEndpointObservation {
        var plain = observation(endpoint(change))
        let first = try revision(1, model("v1"), of: plain)
        let second = try revision(2, model("v2"), of: plain)
        var status = ModelEndpoint.Status()
        status.active = ModelEndpointService.facts(of: first)
        status.lastGoodRevision = revisionName(1)
        plain.revisions = [first, second]
        plain.model = .found(model("v2"))
        plain.endpoint.status = status
        status = ModelEndpointRollout.begin((model("v2"), ModelEndpointService.templateHash(plain, model("v2"))), plain)
        if var candidate = status.candidate {
            changeCandidate(&candidate)
            status.candidate = candidate
        }
        plain.endpoint.status = status
        plain.service = .found(try service(status, plain))
        return plain
    }
}
