import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

/// What namespaces may use, as a file and at every decision.
@Suite struct TenantPolicyTests {
    private static func policies(_ members: String, namespaces: String = #"["ml"]"#) throws -> TenantPolicies {
        try TenantPolicies(json: #"{"policies": [{"name": "p", "namespaces": \#(namespaces)\#(members)}]}"#)
    }

    // MARK: The file

    @Test func `the first policy that names a namespace counts, and others may use nothing`() throws {
        let policies = try TenantPolicies(
            json: #"""
                {"policies": [
                  {"name": "one", "namespaces": ["ml-vision"], "maxNodes": 1},
                  {"name": "all", "namespaces": ["ml", "ml-*"], "locations": [], "publicIngress": true}
                ]}
                """#)
        #expect(policies.policy(of: "ml-vision")?.name == "one")
        #expect(policies.policy(of: "ml-text")?.name == "all")
        #expect(policies.policy(of: "ml")?.publicIngress == true)
        #expect(policies.policy(of: "mlx") == nil)
        #expect(policies.policy(of: "one") == nil)
    }

    @Test(arguments: [
        ("[", "is not JSON: "),
        ("[]", "must be an object with nothing but policies, a list of at most 1,000"),
        (#"{"policies": [], "policy": []}"#, "must be an object with nothing but policies, a list of at most 1,000"),
        (#"{"policies": [{"namespaces": ["a"]}]}"#, "policies[0].name is needed"),
        (#"{"policies": [{"name": "a"}]}"#, "policies[0].namespaces must name at least one"),
        (#"{"policies": [{"name": "a", "namespaces": []}]}"#, "policies[0].namespaces must name at least one"),
        (
            #"{"policies": [{"name": "a", "namespaces": ["a"], "maxnodes": 1}]}"#,
            "policies[0] has no field maxnodes; it has accelerators, buckets, locations, machineTypes, maxAccelerators, "
                + "maxNodes, name, namespaces, publicIngress"
        ),
        (
            #"{"policies": [{"name": "a", "namespaces": ["a"], "buckets": "b"}]}"#,
            "policies[0].buckets must be a list of names in lower case, each with at most a * at its end"
        ),
        (
            #"{"policies": [{"name": "a", "namespaces": ["*a"]}]}"#,
            "policies[0].namespaces must be a list of names in lower case, each with at most a * at its end"
        ),
        (
            #"{"policies": [{"name": "a", "namespaces": ["a"], "maxNodes": "4"}]}"#,
            "policies[0].maxNodes must be a number from 0 to 1000000"
        ),
        (
            #"{"policies": [{"name": "a", "namespaces": ["a"], "publicIngress": 1}]}"#,
            "policies[0].publicIngress must be true or false"
        ),
        (
            #"{"policies": [{"name": "a", "namespaces": ["a"]}, {"name": "a", "namespaces": ["b"]}]}"#,
            "two policies are named a"
        ),
    ])
    func `a file with a mistake is refused with its place`(text: String, message: String) {
        let error = #expect(throws: TenantPolicies.FormatError.self) { try TenantPolicies(json: text) }
        #expect(error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
    }

    // MARK: TrainingJob

    /// Spot in two zones and on demand in one, each one g2-standard-4 with an nvidia-l4.
    private func choices(_ policies: TenantPolicies?) throws -> CapacityOptions {
        var observation = observation(trainingJob(status: status()))
        observation.configuration.tenantPolicies = policies
        return try TrainingJobNodePool.choices(for: run(), RunSpec(observation.spec), observation).get()
    }

    @Test func `without policies every candidate is tried`() throws {
        #expect(try choices(nil).usable.count == 3)
        #expect(try choices(Self.policies("")).usable.count == 3)
    }

    @Test(
        arguments: [
            (
                #", "locations": ["us-central1-a"]"#, 2,
                "spot in us-central1-b: the tenant policy p does not allow the zone us-central1-b (locations)"
            ),
            (#", "locations": ["us-central1"]"#, 3, nil),
            (
                #", "locations": ["europe-*"]"#, 0,
                "spot in us-central1-a: the tenant policy p does not allow the zone us-central1-a (locations)"
            ),
            (
                #", "accelerators": ["nvidia-tesla-t4"]"#, 0,
                "spot in us-central1-a: the tenant policy p does not allow the accelerator nvidia-l4 (accelerators)"
            ),
            (
                #", "machineTypes": ["n1-*"]"#, 0,
                "spot in us-central1-a: the tenant policy p does not allow the machine type g2-standard-4 (machineTypes)"
            ),
            (
                #", "machineTypes": ["g2-*"], "accelerators": ["nvidia-l4"], "maxNodes": 1, "maxAccelerators": 1"#, 3,
                nil
            ),
            (
                #", "maxNodes": 0"#, 0,
                "spot in us-central1-a: the tenant policy p does not allow 1 nodes, but 0 (maxNodes)"
            ),
            (
                #", "maxAccelerators": 0"#, 0,
                "spot in us-central1-a: the tenant policy p does not allow 1 accelerators, but 0 (maxAccelerators)"
            ),
        ] as [(String, Int, String?)])
    func `candidates beyond the policy are left out, with the field that says so`(
        members: String, count: Int, first: String?
    ) throws {
        let choices = try choices(Self.policies(members))
        #expect(choices.usable.count == count)
        #expect(choices.skipped.first?.message == first)
        #expect(choices.skipped.allSatisfy { $0.reason == .notAllowed })
    }

    @Test func `a run that may use nothing buys nothing, and says which policy`() throws {
        for (policies, message) in [
            (try Self.policies(#", "accelerators": []"#), "does not allow the accelerator nvidia-l4"),
            (try Self.policies("", namespaces: #"["other"]"#), "no tenant policy names the namespace ml"),
        ] {
            var observation = observation(trainingJob(status: status()))
            observation.configuration.tenantPolicies = policies
            let plan = TrainingJobPlan.plan(observation)
            #expect(plan.steps.isEmpty && plan.status.resources.isEmpty)
            let stalled = plan.status.conditions.first(ofType: "Stalled")
            #expect(stalled?.status == .true && stalled?.reason == "NotAllowed")
            #expect(stalled?.message.contains(message) == true, "\(stalled?.message ?? "")")
        }
    }

    @Test func `what is released is released whatever the policy says`() throws {
        var job = trainingJob(status: status())
        job.metadata.deletionTimestamp = start
        let name = poolName("spot", "us-central1-b")
        job.status?.resources = [ledgerEntry(name, state: "RUNNING")]
        var free = observation(job)
        free.pools = [nodePool(name)]
        var limited = free
        limited.configuration.tenantPolicies = try Self.policies("", namespaces: #"["other"]"#)
        let plan = TrainingJobPlan.plan(limited)
        #expect(plan == TrainingJobPlan.plan(free))
        #expect(!plan.steps.isEmpty)
    }

    // MARK: GCSArtifact

    private func artifact(_ members: String, _ change: (inout GCSArtifact) -> Void = { _ in }) throws
        -> GCSArtifactObservation
    {
        var artifact = Artifacts.artifact()
        change(&artifact)
        var observation = Artifacts.observation(artifact, bucket: .absent)
        observation.configuration.tenantPolicies = try Self.policies(members)
        return observation
    }

    @Test(
        arguments: [
            (#", "buckets": ["other-*"]"#, "the tenant policy p does not allow the bucket runs-bucket (buckets)"),
            (
                #", "locations": ["europe-west4"]"#,
                "the tenant policy p does not allow buckets in us-central1 (locations)"
            ),
            (#", "buckets": ["runs-*"], "locations": ["us-central1"]"#, nil),
        ] as [(String, String?)])
    func `a bucket beyond the policy is not made`(members: String, message: String?) throws {
        let observation = try artifact(members)
        let plan = GCSArtifactPlan.plan(observation)
        let stalled = plan.status.conditions.first(ofType: "Stalled")
        #expect(stalled?.message == message)
        #expect(stalled?.reason == message.map { _ in "NotAllowed" })
        // Without a refusal the intent is recorded.
        #expect(plan.status.resources.isEmpty == (message != nil))
    }

    @Test func `a source beyond the policy is not copied`() throws {
        let observation = try artifact(#", "buckets": ["runs-*", "shared"]"#) {
            $0.spec.source = .init(type: .uri, uri: .init(uri: "gs://secret/data/"))
        }
        #expect(
            TenantRules.refusal(observation) == "the tenant policy p does not allow the bucket secret (buckets)")
        let allowed = try artifact(#", "buckets": ["runs-*", "shared"]"#) {
            $0.spec.source = .init(type: .uri, uri: .init(uri: "gs://shared/data/"))
        }
        #expect(TenantRules.refusal(allowed) == nil)
    }

    @Test func `data beyond the policy is not deleted, and without deletion the object goes`() throws {
        for policy in [GCSArtifact.DeletionPolicy.deleteObjects, .retain] {
            let artifact = Artifacts.artifact(
                deletionPolicy: policy, isDeleting: true, isConfirmed: true,
                status: Artifacts.status(uri: "gs://runs-bucket/"))
            var observation = Artifacts.observation(artifact)
            observation.configuration.tenantPolicies = try Self.policies(#", "buckets": []"#)
            let decision = GCSArtifactPlan.rules.decide(observation)
            if policy == .retain {
                #expect(decision.next == .finalized)
            } else {
                #expect(
                    decision.situation
                        == .deletionBlocked(
                            .notAllowed,
                            "the tenant policy p does not allow the bucket runs-bucket (buckets): set deletionPolicy to "
                                + "Retain to leave the data"))
                #expect(decision.steps.isEmpty)
            }
        }
    }

    // MARK: ModelEndpoint

    @Test(
        arguments: [
            (
                #", "locations": ["europe-west4"]"#,
                "the tenant policy p does not allow services in us-central1 (locations)"
            ),
            (#", "accelerators": []"#, "the tenant policy p does not allow the accelerator nvidia-l4 (accelerators)"),
            ("", "the tenant policy p does not allow ingress All (publicIngress)"),
            (#", "publicIngress": true"#, nil),
        ] as [(String, String?)])
    func `an endpoint beyond the policy is not made`(members: String, message: String?) throws {
        let endpoint = Endpoints.endpoint { spec in
            spec.backend.cloudRun?.ingress = .all
            var predictor = ModelEndpoint.Predictor()
            predictor.accelerator = .init(gpu: .init(type: .nvidiaL4, zonalRedundancy: false))
            spec.predictor = predictor
        }
        var observation = Endpoints.observation(endpoint)
        observation.configuration.tenantPolicies = try Self.policies(members)
        #expect(TenantRules.refusal(observation) == message)
        guard let message else { return }
        let decision = ModelEndpointPlan.rules.decide(observation)
        #expect(decision.situation == .actionRequired(.notAllowed, message) && decision.steps.isEmpty)
    }
}
