import Encoding
import Kubernetes
import Testing

@testable import Operator
@testable import Sandbox

/// The chart's ValidatingAdmissionPolicies, as helm renders them for `Tests/Chart/values/everything.yaml`: they refuse what
/// the operator refuses as far as it shows in the object, and never what it allows.
@Suite struct AdmissionPolicyTests {
    private static func rendered() throws -> (rules: [String: [JSONValue]], policies: TenantPolicies) {
        let documents = try Repository.yaml("Tests/Chart/golden/everything.yaml")
        var rules: [String: [JSONValue]] = [:]
        for document in documents where document["kind"]?.stringValue == "ValidatingAdmissionPolicy" {
            let spec = try #require(document["spec"])
            let resources = spec.value(at: ["matchConstraints", "resourceRules"])?[0]?["resources"]?.arrayValue ?? []
            rules[resources.first?.stringValue ?? ""] = spec["validations"]?.arrayValue ?? []
        }
        let files = documents.first { $0["data"]?["tenant-policies.json"] != nil }
        let text = try #require(files?["data"]?["tenant-policies.json"]?.stringValue)
        return (rules, try TenantPolicies(json: text))
    }

    /// The messages of the rules that an object breaks.
    private static func violations(
        _ rules: [JSONValue], _ object: JSONValue, _ namespace: String, kind: String
    ) throws -> [String] {
        let definition = try #require(try Repository.yaml("crds/\(kind).yaml").first)
        let version = definition.value(at: ["spec", "versions"])?[0]
        let whole = try #require(version?.value(at: ["schema", "openAPIV3Schema"]))
        let request: JSONValue = ["type": "object", "properties": ["namespace": ["type": "string"]]]
        let variables = [
            "object": try CELValue(object, CELDeclaration(root: try Schema(whole, path: kind, isRoot: true))),
            "request": try CELValue(
                ["namespace": .string(namespace)], CELDeclaration(try Schema(request, path: "request", isRoot: true))),
        ]
        return try rules.compactMap { rule in
            let expression = try CELParser.parse(try #require(rule["expression"]?.stringValue))
            var evaluator = CELEvaluator(variables: variables)
            if try evaluator.evaluateCondition(expression) { return nil }
            guard let text = rule["messageExpression"]?.stringValue else { return rule["message"]?.stringValue }
            guard case .string(let message) = try evaluator.evaluate(try CELParser.parse(text)) else { return nil }
            return message
        }
    }

    @Test func `each kind has its rules, and an unknown namespace breaks one`() throws {
        let (rules, _) = try Self.rendered()
        #expect(rules.keys.sorted() == ["gcsartifacts", "modelendpoints", "trainingjobs"])
        for (kind, rules) in rules {
            #expect(rules.count >= 2, "\(kind)")
            let violations = try Self.violations(rules, ["spec": ["backend": [:]]], "stranger", kind: kind)
            #expect(
                violations == ["no tenant policy names the namespace stranger, which so may use nothing"], "\(kind)")
        }
    }

    private struct Job: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var namespace = "vision"
        var accelerator: String? = "nvidia-l4"
        var nodes = 1
        var machineType: String?
        /// What the API server says, where it does not say yes.
        var refusal: String?
        var isTried: Bool
    }

    @Test(arguments: [
        Job(testDescription: "what is allowed", isTried: true),
        Job(testDescription: "a namespace by its beginning", namespace: "vision-a", isTried: true),
        Job(
            testDescription: "another accelerator", accelerator: "nvidia-tesla-t4",
            refusal: "the tenant policy vision does not allow this (accelerators)", isTried: false),
        Job(
            testDescription: "too many nodes", nodes: 5,
            refusal: "the tenant policy vision does not allow this (maxNodes)", isTried: false),
        Job(
            testDescription: "another machine type", machineType: "a2-highgpu-1g",
            refusal: "the tenant policy vision does not allow this (machineTypes)", isTried: false),
        Job(testDescription: "a named machine type that is allowed", machineType: "g2-standard-8", isTried: true),
        Job(
            testDescription: "an empty list", namespace: "text",
            refusal: "the tenant policy text does not allow this (accelerators)", isTried: false),
        Job(
            testDescription: "an unknown namespace", namespace: "visions",
            refusal: "no tenant policy names the namespace visions, which so may use nothing", isTried: false),
    ])
    private func `a TrainingJob is refused only where the operator tries nothing`(row: Job) throws {
        let (rules, policies) = try Self.rendered()
        var job = trainingJob({ spec in
            spec.accelerator = row.accelerator.map {
                TrainingJob.AcceleratorSpec(gpu: .init(type: $0, count: 1, driverVersion: "Default"))
            }
            spec.trainer?.numNodes = row.nodes
            for index in spec.capacity?.candidates.indices ?? 0..<0 {
                spec.capacity?.candidates[index].machineType = row.machineType
            }
        })
        job.metadata.namespace = row.namespace
        let object: JSONValue = ["spec": try JSONValue(encoding: job.spec)]
        let violations = try Self.violations(
            try #require(rules["trainingjobs"]), object, row.namespace, kind: "trainingjobs")
        #expect(violations == row.refusal.map { [$0] } ?? [])
        var seen = observation(job)
        seen.configuration.tenantPolicies = policies
        let choices = TrainingJobNodePool.choices(for: nil, RunSpec(job.spec), seen)
        let isTried = (try? choices.get().usable.isEmpty) == false
        #expect(isTried == row.isTried)
    }

    @Test(arguments: [("acme-vision-data", true), ("other", false)])
    func `an artifact is refused where the operator refuses it`(bucket: String, isAllowed: Bool) throws {
        let (rules, policies) = try Self.rendered()
        var artifact = Artifacts.artifact()
        artifact.metadata.namespace = "vision"
        artifact.spec.bucket?.name = bucket
        let object: JSONValue = ["spec": try JSONValue(encoding: artifact.spec)]
        let violations = try Self.violations(
            try #require(rules["gcsartifacts"]), object, "vision", kind: "gcsartifacts")
        #expect(violations.isEmpty == isAllowed)
        var seen = Artifacts.observation(artifact)
        seen.configuration.tenantPolicies = policies
        #expect((TenantRules.refusal(seen) == nil) == isAllowed)
    }

    @Test(arguments: [
        ("vision", "us-central1", ModelEndpoint.Backend.Ingress.internalOnly, true),
        ("vision", "europe-west4", .internalOnly, false), ("vision", "us-central1", .all, false),
        ("text", "europe-west4", .all, true),
    ])
    func `an endpoint is refused where the operator refuses it`(
        namespace: String, location: String, ingress: ModelEndpoint.Backend.Ingress, isAllowed: Bool
    ) throws {
        let (rules, policies) = try Self.rendered()
        var endpoint = Endpoints.endpoint {
            $0.backend.cloudRun?.location = location
            $0.backend.cloudRun?.ingress = ingress
        }
        endpoint.metadata.namespace = namespace
        let object: JSONValue = ["spec": try JSONValue(encoding: endpoint.spec)]
        let violations = try Self.violations(
            try #require(rules["modelendpoints"]), object, namespace, kind: "modelendpoints")
        #expect(violations.isEmpty == isAllowed)
        var seen = Endpoints.observation(endpoint)
        seen.configuration.tenantPolicies = policies
        #expect((TenantRules.refusal(seen) == nil) == isAllowed)
    }
}
