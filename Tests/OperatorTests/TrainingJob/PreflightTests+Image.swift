import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime
@testable import Operator

/// Processors, chips and images.
extension PreflightTests {
    @Test(arguments: [
        ("n2-standard-8", "N2_CPUS", 24.0, 24.0, "Quota Passed"), ("n2-standard-8", "N2_CPUS", 23.0, 23.0, ""),
        ("n2-standard-8", "N2_CPUS", 24.0, 23.0, "Quota Warning"),
        ("n2-custom-8-16384", "N2_CPUS", 23.0, 23.0, ""), ("e2-standard-4", "CPUS", 12.0, 12.0, "Quota Passed"),
        ("c4-standard-8", "CPUS", 0.0, 0.0, "Quota NotChecked"), ("e2-medium", "CPUS", 0.0, 0.0, "Quota NotChecked"),
    ])
    func `runs on CPUs need processors`(machine: String, metric: String, limit: Double, free: Double, wanted: String) {
        let plan = plan { spec in
            spec.accelerator = nil
            spec.trainer?.image = "example.com/cpu:1"
            spec.trainer?.numNodes = 3
            spec.capacity?.candidates = [
                .init(
                    name: "cpu", provisioningModel: .standard, machineType: machine, zones: ["us-central1-a"])
            ]
        } _: { seen in
            seen.regions["us-central1"] = .quotas([metric: Quota(limit: limit, free: free)])
        }
        #expect((lines(plan).first { $0.hasPrefix("Quota") } ?? "") == wanted)
        if wanted.isEmpty { #expect(stop(plan).contains("needs 24 \(metric), the quota is 23")) }
    }

    @Test(arguments: [
        (ProvisioningModel.standard, 15.0, 64.0, ""), (.standard, 16.0, 0.0, "Quota Passed"),
        (.spot, 0.0, 16.0, "Quota Passed"), (.spot, 64.0, 15.0, ""), (.flexStart, 15.0, 16.0, "Quota Passed"),
        (.flexStart, 16.0, 15.0, "Quota Passed"), (.flexStart, 15.0, 15.0, ""),
    ])
    func `slices need chips, spot ones of their own quota`(
        model: ProvisioningModel, common: Double, own: Double, wanted: String
    ) {
        let plan = plan { spec in
            spec.accelerator = .init(tpu: .init(type: "tpu-v5-lite-podslice", topology: "4x4", slices: 1))
            spec.trainer?.image = "example.com/jax:1"
            spec.capacity?.candidates = [
                .init(name: "tpu", provisioningModel: model, zones: ["us-central1-a"])
            ]
        } _: { seen in
            seen.regions["us-central1"] = .quotas([
                "TPU_LITE_PODSLICE_V5": Quota(limit: common, free: common),
                "PREEMPTIBLE_TPU_LITE_PODSLICE_V5": Quota(limit: own, free: own),
            ])
        }
        #expect((lines(plan).first { $0.hasPrefix("Quota") } ?? "") == wanted)
        if wanted.isEmpty { #expect(stop(plan).contains("needs 16 TPU_LITE_PODSLICE_V5, the quota is 15")) }
    }

    // MARK: Image

    @Test func `an image is pinned to the digest that it had before anything was bought`() {
        let digest = "sha256:" + String(repeating: "0", count: 64)
        let plan = plan { _ in
        } _: {
            $0.image = .found(digest)
        }
        #expect(lines(plan).contains("Image Passed"))
        #expect(plan.status.run?.image == "trainyard.dev/trainer:test@\(digest)")
        #expect(TrainingJobPreflight.pinned("a/b@\(digest)", digest) == "a/b@\(digest)")
    }

    @Test func `an image that is not there stops the run, a registry that does not tell does not`() {
        func seen(_ code: APIError.Code) -> Plan<TrainingJob.Status, TrainingJobAction> {
            let error = APIError(code, operation: "tags.get", message: "no tag v2")
            return plan { _ in
            } _: {
                $0.image = code == .notFound ? .missing(error) : .unreadable(error)
            }
        }
        #expect(
            stop(seen(.notFound))
                == "Stalled ImagePullFailed: image trainyard.dev/trainer:test does not exist: no tag v2; push it, or set "
                + "preflight.skip: [Image]")
        #expect(lines(seen(.forbidden)).contains("Image NotChecked"))
        #expect(stop(seen(.unavailable)) == "Pending AwaitingPreflight: no tag v2")
    }

    @Test func `Artifact Registry is asked once for each run`() async throws {
        let world = try await OperatorWorld(program: Trainers.succeeding())
        let google = GoogleCloudClient(transport: HandlerTransport(world.world), tokens: NoTokens(), clock: world.clock)
        let controller = TrainingJobController(
            configuration: configuration(), kubernetes: world.admin, container: ContainerClient(google),
            storage: StorageClient(google), registry: ArtifactRegistryClient(google), cache: ObjectCache(),
            clock: .virtual(world.clock))
        func look(_ name: String) async throws -> PreflightObservation.ImageRead {
            var run = run()
            run.image = name
            return try await controller.image(of: run)
        }
        let method = "artifactregistry.projects.locations.repositories.packages.tags.get"
        let base = "us-central1-docker.pkg.dev/sandbox-project"
        world.world.cloud.updateScript { script in
            script.apis.missingImages = ["\(base)/ml/gone:1", "\(base)/mirror/new:1"]
            script.apis.unauthorizedImages = ["\(base)/ml/secret:1"]
            script.apis.remoteRepositories = ["\(base)/mirror"]
        }
        let first = try await look("\(base)/ml/mnist:1")
        guard case .found(let digest) = first else {
            Issue.record("\(first)")
            return
        }
        #expect(digest.hasPrefix("sha256:") && digest.utf8.count == 71)
        #expect(try await look("\(base)/ml/mnist:1") == first)
        #expect(world.world.cloud.callCount(method) == 1)
        guard case .missing = try await look("\(base)/ml/gone:1") else {
            Issue.record("an image that is not there")
            return
        }
        for name in ["\(base)/mirror/new:1", "\(base)/ml/secret:1"] {
            guard case .unreadable = try await look(name) else {
                Issue.record("\(name) is judged")
                continue
            }
        }
        guard case .notAsked = try await look("docker.io/library/python:3") else {
            Issue.record("a foreign registry is asked")
            return
        }
    }
}
