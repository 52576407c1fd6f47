import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox

@testable import ControllerRuntime
@testable import Operator

/// What a ModelEndpoint lives through.
extension Workflow {
    static let endpoints: [Workflow] = [
        Workflow(
            name: "serve and roll out", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.serveFirst()
                try await world.publish("v2")
                try await world.expectEndpoint("v2 serves") { $0?.serves("v2") == true }
                try await world.deleteEndpoint()
                try await world.expectEndpoint("nothing") { $0 == nil }
            }),
        Workflow(
            name: "bad revision", setting: "endpoint", make: endpointWorld(crashing: ["r/bad:1"]),
            story: { world in
                try await world.serveFirst()
                try await world.patchEndpoint(["spec": ["predictor": ["image": "r/bad:1"]]])
                try await world.expectEndpoint("rolled back") { $0?.status?.state == "RolledBack" }
                try await world.patchEndpoint(["spec": ["predictor": ["image": .null]]])
                try await world.expectEndpoint("v1 serves") { $0?.serves("v1") == true }
            }),
        Workflow(
            name: "bad answers", setting: "endpoint", make: endpointWorld(failing: ["v2"]),
            story: { world in
                try await world.serveFirst()
                try await world.publish("v2")
                try await world.expectEndpoint("rolled back") { $0?.status?.state == "RolledBack" }
                try await world.publish("v3")
                try await world.expectEndpoint("v3 serves") { $0?.serves("v3") == true }
            }),
        Workflow(
            name: "suspend, drift and access", setting: "endpoint", make: endpointWorld(),
            story: { world in
                let member = "serviceAccount:app@sandbox-project.iam.gserviceaccount.com"
                try await world.serveFirst(["access": ["invokers": [.string(member)]]])
                try await world.patchEndpoint(["spec": ["suspend": true]])
                try await world.expectEndpoint("suspended") { $0?.status?.state == "Suspended" }
                try await world.patchEndpoint(["spec": ["suspend": false, "access": .null]])
                try await world.expectEndpoint("v1 serves") { $0?.serves("v1") == true }
                let policy = try await world.runClient.policy(ofService: world.serviceID, in: FaultWorld.region)
                if policy.bindings?.isEmpty == false { throw Stuck(description: "access is left") }
                let service = try await world.runClient.service(world.serviceID, in: FaultWorld.region)
                var change = RunServiceConfiguration()
                change.ingress = .known(.all)
                _ = try await world.runClient.patchService(
                    world.serviceID, change, etag: service.etag, updateMask: ["ingress"], in: FaultWorld.region)
                try await world.patchEndpoint(["metadata": ["annotations": ["note": "look"]]])
                try await world.expectEndpoint("corrected") { $0?.status?.drift.first?.action == "Corrected" }
            }),
        Workflow(
            name: "a budget stops it, a window warms it", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.createModel()
                try await world.publish("v1")
                try await world.createEndpoint([
                    "scaling": [
                        "minReplicas": 0, "maxReplicas": 4,
                        "warmWindows": [
                            [
                                "name": "half-hour", "schedule": "0,30 * * * *", "durationSeconds": 900,
                                "minReplicas": 4,
                            ]
                        ],
                    ],
                    "predictor": ["resources": ["limits": ["cpu": 8, "memory": "32Gi"]]],
                    "budget": ["maxMonthlyCost": "0.40", "onExceeded": "Suspend"],
                ])
                try await world.expectEndpoint("v1 serves") { $0?.serves("v1") == true }
                try await world.expectEndpoint("warm", atMost: 3600) { $0?.status?.replicas == 4 }
                try await world.expectEndpoint("over budget", atMost: 3600) { $0?.status?.state == "OverBudget" }
                let stopped = try await world.runClient.service(world.serviceID, in: FaultWorld.region)
                guard stopped.configuration.scaling?.manualInstanceCount == 0 else {
                    throw Stuck(description: "instances may run")
                }
                try await world.patchEndpoint(["spec": ["budget": .null, "scaling": ["warmWindows": .null]]])
                try await world.expectEndpoint("v1 serves") { $0?.serves("v1") == true }
            }),
        Workflow(
            name: "processors come and go", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.createModel()
                try await world.publish("v1")
                let account: JSONValue = "digits@sandbox-project.iam.gserviceaccount.com"
                try await world.createEndpoint([
                    "predictor": ["googleServiceAccount": account], "preprocessor": ["image": "r/pre:1"],
                    "postprocessor": ["image": "r/post:1"],
                ])
                try await world.expectEndpoint("v1 serves") {
                    $0?.serves("v1") == true && $0?.status?.components.map(\.ready) == [true, true]
                }
                try await world.patchEndpoint(["spec": ["preprocessor": .null]])
                try await world.expectEndpoint("without the preprocessor") {
                    $0?.serves("v1") == true && $0?.status?.resources.count == 2
                }
                try await world.deleteEndpoint()
                try await world.expectEndpoint("nothing") { $0 == nil }
            }),
        Workflow(
            name: "orphan and take back", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.serveFirst(["deletionPolicy": "Orphan"])
                world.oracle.expectOrphans()
                try await world.deleteEndpoint()
                try await world.expectEndpoint("nothing") { $0 == nil }
                try await world.createEndpoint()
                try await world.expectEndpoint("v1 serves again") { $0?.serves("v1") == true }
                // The object is gone before the operator has heard of the change.
                try await world.patchEndpoint(["spec": ["deletionPolicy": "Orphan"]])
                try await world.deleteEndpoint()
                try await world.expectEndpoint("nothing") { $0 == nil }
                guard
                    world.world.cloud.runServiceLabels(world.serviceID)?[Ownership.onDeletionLabel] == "orphan"
                else { throw Stuck(description: "a sweep would take it for a leak") }
            }),
        Workflow(
            name: "the model stays while it is served", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.serveFirst()
                try await world.patchArtifact(["spec": ["deletionPolicy": "DeleteBucket"]], of: "model")
                let confirmation: JSONValue = ["trainyard.dev/confirm-deletion": "model"]
                try await world.patchArtifact(["metadata": ["annotations": confirmation]], of: "model")
                try await world.admin.delete(world.reference(GCSArtifact.resourceType, "model"))
                try await world.expectArtifact("in use", named: "model") {
                    $0?.status?.conditions.first(ofType: "Stalled")?.message.contains("ModelEndpoint digits") == true
                }
                try await world.deleteEndpoint()
                try await world.expectArtifact("nothing", named: "model") { $0 == nil }
            }),
        Workflow(
            name: "delete while deploying", setting: "endpoint", make: endpointWorld(),
            story: { world in
                try await world.createModel()
                try await world.publish("v1")
                try await world.createEndpoint()
                try await world.expectEndpoint("a service") { $0?.status?.url != nil }
                try await world.deleteEndpoint()
                try await world.expectEndpoint("nothing") { $0 == nil }
            }),
    ]

    /// Versions come by upload into an artifact; `failing` ones answer their smoke tests with 500.
    static func endpointWorld(
        failing: Set<String> = [], crashing: Set<String> = []
    ) -> @Sendable () async throws -> FaultWorld {
        {
            let world = try await FaultWorld()
            world.runsJobs = false
            world.runsEndpoints = true
            world.world.cloud.updateScript { $0.apis.crashingImages = crashing }
            let cloud = world.world.cloud
            cloud.serveRun(world.serviceID) { [weak cloud] _, revision in
                let version = cloud?.runRevisionAnnotation("trainyard.dev/model-version", of: revision) ?? ""
                let isGood = !failing.contains(version)
                return HTTPReply(
                    status: isGood ? 200 : 500, headers: ["Content-Type": "application/json"],
                    body: Array((isGood ? "{\"ready\":true}" : "no model").utf8))
            }
            return world
        }
    }
}

extension FaultWorld {
    static let region = LocationName(project: "sandbox-project", location: "us-central1")

    var serviceID: String {
        ModelEndpointService.id(reference(ModelEndpoint.resourceType, "digits"), clusterUID: FaultWorld.clusterUID)
    }

    /// The test's own client.
    var runClient: RunClient {
        RunClient(GoogleCloudClient(transport: HandlerTransport(world), tokens: NoTokens(), clock: clock))
    }

    /// The artifact whose versions are served.
    func createModel() async throws {
        let object = try await admin.create(
            GCSArtifact.resourceType,
            [
                "metadata": ["name": "model", "namespace": .string(namespace)],
                "spec": [
                    "bucket": ["name": "runs-bucket", "location": "us-central1"], "layout": "Versioned",
                    "source": ["type": "Upload", "upload": ["markerFile": "_SUCCESS"]],
                    "aliases": [["name": "production", "policy": "LatestVerified"]],
                ],
            ])
        know(object, "model")
        try await expectArtifact("ready", named: "model") { $0?.status?.conditions.isTrue("Ready") == true }
    }

    /// Uploads a version and waits until it is one.
    func publish(_ version: String) async throws {
        for name in ["model.safetensors", "_SUCCESS"] {
            try world.cloud.putObject(bucket: "runs-bucket", name: "\(version)/\(name)", bytes: [1])
        }
        try await expectArtifact("version \(version)", named: "model") {
            $0?.status?.aliases.first?.version == version
        }
    }

    func createEndpoint(_ changes: [String: JSONValue] = [:]) async throws {
        var spec: [String: JSONValue] = [
            "backend": ["type": "CloudRun", "cloudRun": ["location": "us-central1"]],
            "model": ["artifactRef": ["name": "model", "alias": "production"]],
            "rollout": ["steps": [["weight": 10, "holdSeconds": 30]]],
        ]
        spec.merge(changes) { $1 }
        let object = try await admin.create(
            ModelEndpoint.resourceType,
            ["metadata": ["name": "digits", "namespace": .string(namespace)], "spec": .object(spec)])
        know(object, "endpoint")
    }

    /// How most stories begin: `v1` is published and served.
    func serveFirst(_ changes: [String: JSONValue] = [:]) async throws {
        try await createModel()
        try await publish("v1")
        try await createEndpoint(changes)
        try await expectEndpoint("v1 serves") { $0?.serves("v1") == true }
    }

    func patchEndpoint(_ patch: JSONValue) async throws {
        try await admin.mergePatch(reference(ModelEndpoint.resourceType, "digits"), patch)
    }

    func deleteEndpoint() async throws { try await admin.delete(reference(ModelEndpoint.resourceType, "digits")) }

    func endpoint() async throws -> ModelEndpoint? {
        try await admin.find(ModelEndpoint.self, namespace: namespace, name: "digits")
    }

    func expectEndpoint(
        _ what: String, atMost seconds: Int = 1500, _ isReached: (ModelEndpoint?) -> Bool
    ) async throws {
        if try await run(atMost: seconds, until: { isReached(try await endpoint()) }) { return }
        let conditions = try await endpoint()?.status?.conditions ?? []
        throw Stuck(description: "\(what) does not come: \(Self.text(conditions))")
    }
}

extension ModelEndpoint {
    /// That version has all requests, and it is what is wanted.
    func serves(_ version: String) -> Bool {
        status?.state == "Serving" && status?.active?.modelVersion == version && status?.candidate == nil
            && status?.observedGeneration == metadata.generation
    }
}
