import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What of a spec can be, what it costs, and who may call.
@Suite struct ModelEndpointSpecTests {
    private func plan(_ observation: ModelEndpointObservation) -> Plan<ModelEndpoint.Status, ModelEndpointAction> {
        ModelEndpointPlan.plan(observation)
    }

    struct Shape: Sendable {
        var cpu: JSONValue
        var memory: JSONValue
        var hasGPU: Bool
        /// Part of the refusal; nil: Cloud Run has it.
        var problem: String?
    }

    @Test(arguments: [
        Shape(cpu: "3", memory: "1Gi", hasGPU: false, problem: "Cloud Run has 1, 2, 4, 6 or 8"),
        Shape(cpu: 4, memory: "8Gi", hasGPU: true, problem: "needs at least 4 CPUs and 16Gi"),
        Shape(cpu: 4, memory: "16Gi", hasGPU: true), Shape(cpu: "500m", memory: "1Gi", hasGPU: false),
    ])
    func `an instance that Cloud Run does not have is refused before it is asked`(shape: Shape) {
        let endpoint = Endpoints.endpoint { spec in
            var predictor = ModelEndpoint.Predictor()
            predictor.resources = .init(limits: .init(cpu: shape.cpu, memory: shape.memory))
            if shape.hasGPU { predictor.accelerator = .init(gpu: .init(type: .nvidiaL4, zonalRedundancy: false)) }
            spec.predictor = predictor
        }
        let ready = plan(Endpoints.observation(endpoint)).status.conditions.first(ofType: "Ready")
        guard let problem = shape.problem else {
            #expect(ready?.reason == "CreatingService")
            return
        }
        #expect(ready?.reason == "InvalidSpec")
        #expect(ready?.message.contains(problem) == true)
    }

    @Test func `the list price of an L4 instance`() {
        var predictor = ModelEndpoint.Predictor()
        predictor.resources = .init(limits: .init(cpu: 8, memory: "32Gi"))
        predictor.accelerator = .init(gpu: .init(type: .nvidiaL4, zonalRedundancy: false))
        // 0.672 + 8 × 0.0648 + 32 × 0.0072
        #expect(ModelEndpointCost.hourly(predictor)?.decimal == "1.42092")
    }

    @Test func `members of others keep their access`() {
        let policy = IAMPolicy(
            bindings: [
                .init(role: ModelEndpointAccess.role, members: ["user:a@b.c", "serviceAccount:old@p"]),
                .init(role: "roles/run.viewer", members: ["user:v@b.c"]),
            ], etag: "x")
        let merged = ModelEndpointAccess.merged(
            policy, ["serviceAccount:new@p"], managed: ["serviceAccount:old@p", "serviceAccount:new@p"])
        #expect(ModelEndpointAccess.members(merged) == ["user:a@b.c", "serviceAccount:new@p"])
        #expect(merged.bindings?.contains { $0.role == "roles/run.viewer" } == true)
        #expect(merged.etag == "x")
    }

    @Test func `the kind's page explains every reason, and no other`() throws {
        let lines = try Repository.text("crds/modelendpoints.md").split(separator: "\n")
        let cells = lines.drop { $0 != "## Reasons" }.dropFirst(3).map { line in
            line.split(separator: "|").map { $0.split(separator: " ").joined(separator: " ") }
        }
        #expect(cells.map { $0[0] } == ModelEndpointReason.allCases.map(\.rawValue))
        for row in cells { #expect(row.last == ModelEndpointReason(rawValue: row[0])?.hint ?? "–", "\(row[0])") }
    }
}

/// Which version is meant.
@Suite struct ModelEndpointModelTests {
    private func artifact(_ change: (inout GCSArtifact.Status) -> Void) -> GCSArtifact {
        var status = GCSArtifact.Status()
        change(&status)
        return Artifacts.artifact(status: status)
    }

    private func resolve(
        _ reference: ModelEndpoint.Model.ArtifactReference, _ artifact: GCSArtifact?
    ) -> String {
        switch ModelEndpointModel.resolve(reference, in: artifact) {
        case .named(let named): named.version
        case .missing(let reason, _): reason.rawValue
        }
    }

    @Test func `a version is found by alias, name and digest, if it is as published`() {
        let artifact = artifact { status in
            status.versions = [
                .init(name: "v2", digest: "sha256:2", verified: false),
                .init(name: "v1", digest: "sha256:1", verified: true),
            ]
            status.aliases = [.init(name: "production", version: "v1"), .init(name: "next", version: "v2")]
        }
        #expect(resolve(.init(name: "a", alias: "production"), artifact) == "v1")
        #expect(resolve(.init(name: "a", version: "v1"), artifact) == "v1")
        #expect(resolve(.init(name: "a", digest: "sha256:1"), artifact) == "v1")
        #expect(resolve(.init(name: "a", alias: "next"), artifact) == "VersionNotVerified")
        #expect(resolve(.init(name: "a", alias: "none"), artifact) == "VersionNotFound")
        #expect(resolve(.init(name: "a", version: "v3"), artifact) == "VersionNotFound")
        #expect(resolve(.init(name: "a", version: "v1"), nil) == "ArtifactNotFound")
    }
}
