import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing
import YAML

@testable import ControllerRuntime
@testable import Operator

/// The examples of where machines come from reach their ends in the simulated world.
@Suite struct CapacityExampleTests {
    @Test(arguments: [
        ("cpu", "spot us-central1-a", "n2-standard-8", 1),
        ("gpu-spot-fallback", "on-demand us-central1-a", "g2-standard-4", 1),
        ("tpu-v6e-16", "spot us-central1-a", "ct6e-standard-4t", 4),
        ("flex-start", "queued us-central1-a", "g2-standard-4", 1),
    ])
    func `an example is verified and leaves nothing`(
        file: String, place: String, machine: String, nodeCount: Int
    ) async throws {
        // The simulated cluster lies in us-central1 and has one image.
        let text = try Repository.text("crds/examples/\(file).yaml")
            .replacing("us-east5", with: "us-central1")
            .replacing("us-docker.pkg.dev/my-project/trainers/language-model:1", with: FaultWorld.image)
        let stockouts: Set<String> = text.contains("stockout: spot/*") ? ["spot/*"] : []
        let world = try await FaultWorld(stockouts: stockouts)
        var name = "", data: String?
        for document in try YAML.documents(text).map(\.json) {
            var object = document
            object.set(.string(world.namespace), at: ["metadata", "namespace"])
            object.set(nil, at: ["metadata", "annotations", "sandbox.trainyard.dev/seed"])
            if object.value(at: ["spec", "artifactType"]) == "Dataset" {
                data = object.value(at: ["spec", "bucket", "name"])?.stringValue
            }
            let isJob = object["kind"]?.stringValue == "TrainingJob"
            if isJob { name = object.value(at: ["metadata", "name"])?.stringValue ?? "" }
            world.know(
                try await world.admin.create(isJob ? TrainingJob.resourceType : GCSArtifact.resourceType, object), file)
        }
        if let data {
            _ = try await world.run(atMost: 60, until: { world.world.cloud.bucketExists(data) })
            try world.world.cloud.putObject(bucket: data, name: "train-images-idx3-ubyte.gz", bytes: [1, 2, 3])
        }
        let jobName = name
        func job() async throws -> TrainingJob? {
            try await world.admin.find(TrainingJob.self, namespace: world.namespace, name: jobName)
        }
        var seen: (machine: String, count: Int) = ("", 0)
        let isOver = try await world.run(until: {
            if let pool = world.ownPools.first, !pool.instances.isEmpty {
                seen = (pool.config["machineType"]?.stringValue ?? "", pool.instances.count)
            }
            return try await job()?.isOver == true
        })
        let status = try #require(try await job()?.status)
        #expect(isOver, "\(FaultWorld.text(status.conditions))")
        #expect(status.run?.reason == "Succeeded")
        let acquired = status.capacity?.attempts.first { $0.result == "Acquired" }
        #expect("\(acquired?.candidate ?? "") \(acquired?.zone ?? "")" == place)
        #expect(seen == (machine, nodeCount))
        #expect(world.ownPools.isEmpty)
        #expect(world.oracle.violations == [])
    }
}
