import Encoding
import Operator
import Testing

@testable import TrainyardCommand

@Suite struct `Plans without a cluster` {
    private func command(zones: [String] = []) -> PlanCommand {
        let console = Console(descriptor: 1)
        return PlanCommand(options: PlanOptions(zones: zones), console: console, complaints: console)
    }

    private func entries(_ text: String, zones: [String] = []) async throws -> [PlanCommand.Entry] {
        try await command(zones: zones).plans(of: try ManifestFile.read("f.yaml", text: text)).jobs
    }

    private static let artifact = """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: RunOutput
          bucket: {name: some-bucket-of-runs, location: us-central1}
          layout: ByRun
        ---

        """

    private static func job(_ more: String = "") -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: TrainingJob
        metadata: {name: mnist}
        spec:
          accelerator:
            gpu: {type: nvidia-l4}
          outputs:
            artifactRef: {name: runs}
        \(more)

        """
    }

    @Test func `says what would be tried, made and paid`() async throws {
        let more = """
              runtimeLimitSeconds: 3600
              capacity:
                candidates:
                - {name: spot, provisioningModel: Spot, zones: [us-central1-a]}
                - {name: on-demand, provisioningModel: Standard}
            """
        let entry = try #require(
            try await entries(Self.artifact + Self.job(more), zones: ["us-central1-f", "us-central1-b"]).first)
        #expect(
            PlanText.text(entry) == """
                trainingjob/mnist: 3 candidates, first spot in us-central1-a (1 × g2-standard-4, $0.40 an hour); at most \
                $0.88; nothing stands in the way
                  candidates, in this order:
                    1.  spot       us-central1-a  1 × g2-standard-4  Spot      $0.397336/h
                    2.  on-demand  us-central1-f  1 × g2-standard-4  Standard  $0.706832/h
                    3.  on-demand  us-central1-b  1 × g2-standard-4  Standard  $0.706832/h
                  would be created:
                    ControllerRevision \(try revision(entry)): the spec of the run
                    Service mnist-<uid>-r1: how the pods find each other
                    Job mnist-<uid>-r1-a1: 1 pod, one a node
                    NodePool ty-<hash>-r1-a: 1 × g2-standard-4 in us-central1-a, or the next candidate; one at a time
                    outputs below runs/{runID}/ of GCSArtifact runs
                """)
    }

    private func revision(_ entry: PlanCommand.Entry) throws -> String {
        let name = try #require(entry.plan.objects.first?.split(separator: " ").dropFirst().first?.dropLast())
        #expect(name.hasPrefix("mnist-<uid>-"))
        return String(name)
    }

    @Test func `what is assumed is said`() async throws {
        let entry = try #require(try await entries(Self.job()).first)
        #expect(entry.plan.problems == [])
        #expect(
            entry.notes == [
                "GCSArtifact runs is not in the file: it must be in the cluster",
                "zones that the file does not name: us-central1-a, us-central1-b, us-central1-c are assumed; --zones says "
                    + "which your cluster has",
            ])
    }

    @Test func `what would stop a run is a problem`() async throws {
        let wrong = Self.job("  budget: {maxCost: \"0.01\"}").replacing("nvidia-l4", with: "nvidia-l40")
        let entry = try #require(try await entries(wrong).first)
        #expect(entry.plan.candidates == [])
        #expect(entry.plan.problems.first?.contains("GPU type nvidia-l40 is not known; known are") == true)
        let small = try #require(try await entries(Self.job("  budget: {maxCost: \"0.01\"}")).first)
        #expect(small.plan.problems.first?.contains("does not pay for more than stopping") == true)
    }

    @Test func `nothing stands in the way of the examples`() async throws {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let folder = "\(root)/crds/examples"
        var planned = 0
        for file in LocalFiles.names(in: folder) where file.hasSuffix(".yaml") {
            let documents = try ManifestFile.read(["\(folder)/\(file)"])
            let kinds = [TrainingJob.resourceType, ModelEndpoint.resourceType]
            guard documents.contains(where: { kinds.contains($0.type) }) else { continue }
            let plans = try await command().plans(of: documents)
            for endpoint in plans.endpoints { #expect(endpoint.plan.problems == [], "\(file)") }
            guard let entry = plans.jobs.first else { continue }
            #expect(entry.plan.problems == [], "\(file)")
            #expect(entry.notes == [], "\(file)")
            #expect(entry.plan.candidates.first?.hourlyCost != nil, "\(file)")
            planned += 1
        }
        #expect(planned > 10)
    }

    @Test func `programs get the same as JSON`() async throws {
        let entries = try await entries(Self.job())
        let json = try JSONValue(parsing: PlanText.json(PlanCommand.Plans(jobs: entries)))
        #expect(json["modelEndpoints"] == nil)
        let job = try #require(json["trainingJobs"]?[0])
        #expect(job["name"] == "mnist")
        #expect(job["namespace"] == "default")
        #expect(job.value(at: ["plan", "candidates"])?[0]?["hourlyCost"] == "0.706832")
        #expect(job["notes"]?.arrayValue?.count == 2)
    }

    @Test func `an endpoint's plan says what would be made and what it costs`() async throws {
        let text = """
            apiVersion: trainyard.dev/v1alpha1
            kind: ModelEndpoint
            metadata: {name: digits}
            spec:
              backend: {type: CloudRun, cloudRun: {location: us-central1}}
              model: {artifactRef: {name: digits-model, alias: production}}
              predictor: {resources: {limits: {cpu: 4, memory: 16Gi}}, accelerator: {gpu: {type: nvidia-l4}}}
              scaling: {minReplicas: 1, maxReplicas: 3}
              budget: {maxMonthlyCost: "100", onExceeded: Suspend}

            """
        let plans = try await command().plans(of: try ManifestFile.read("f.yaml", text: text))
        let entry = try #require(plans.endpoints.first)
        #expect(
            PlanText.text(entry) == """
                modelendpoint/digits: Cloud Run service digits-<hash> in us-central1; $1.05 to $3.14 an hour; nothing stands \
                in the way
                  would be created:
                    Cloud Run service digits-<hash> in us-central1
                    a revision that serves production of digits-model with \(SandboxSettings.trainerImage)
                  note:
                    whether the version is verified and meets its requirements, only a cluster knows
                    GCSArtifact digits-model is not in the file: it must be in the cluster
                """)
        #expect(!plans.hasProblems)
        let json = try JSONValue(parsing: PlanText.json(plans))
        #expect(json.value(at: ["modelEndpoints"])?[0]?.value(at: ["plan", "maxHourlyCost"]) == "3.13956")
        let wrong = text.replacing(
            "minReplicas: 1",
            with: "minReplicas: 1, warmWindows: [{name: w, schedule: 0 0 30 2 *, "
                + "durationSeconds: 60, minReplicas: 2}]")
        let refused = try await command().plans(of: try ManifestFile.read("f.yaml", text: wrong))
        #expect(refused.endpoints.first?.plan.problems == ["scaling.warmWindows: w: \"0 0 30 2 *\" never comes"])
        #expect(refused.hasProblems)
    }

    @Test(arguments: [
        ("not YAML", "a: [", "f.yaml:"),
        ("no TrainingJob", artifact, "there is no TrainingJob and no ModelEndpoint in f.yaml"),
        ("an unknown field", job("  budgets: {}"), "unknown field \"spec.budgets\""),
        ("a wrong value", job("  budget: {maxCost: 5}"), "f.yaml:"),
        ("a rule", job("  budget: {maxCost: \"0\"}"), "must be above 0"),
        (
            "another kind", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "does not know v1 Pod"
        ),
    ])
    func `a wrong file is refused with its place`(_ name: String, _ text: String, _ message: String) async {
        await #expect {
            _ = try await entries(text)
        } throws: { error in
            guard let error = error as? RunError else { return false }
            return error.code == .badData && error.message.contains(message)
        }
    }
}
