import Encoding
import FoundationEssentials
import Testing
import YAML

@testable import Operator

/// The repository's files, found from this one.
enum Repository {
    static var root: String {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .path
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: URL(filePath: "\(root)/\(path)"), encoding: .utf8)
    }

    static func yaml(_ path: String) throws -> [JSONValue] { try YAML.documents(try text(path)).map(\.json) }
}

/// The CRDs are the contract: the Swift types ask for exactly their fields, and know which may be absent.
@Suite struct CRDContractTests {
    private func schema(_ file: String) throws -> JSONValue {
        let crd = try #require(try Repository.yaml("crds/\(file).yaml").first)
        let version = try #require(crd.value(at: ["spec", "versions"])?[0])
        return try #require(version.value(at: ["schema", "openAPIV3Schema"]))
    }

    private func check<Value: Decodable>(_ type: Value.Type, _ schema: JSONValue, _ name: String) throws {
        let requests = try SchemaProbe.requests(of: type, schema: schema)
        var properties: [String: (isAlwaysThere: Bool, type: String?)] = [:]
        collect(schema, path: "", into: &properties)
        #expect(Set(requests.map(\.path)).subtracting(properties.keys) == [], "\(name): not in the CRD")
        #expect(Set(properties.keys).subtracting(requests.map(\.path)) == [], "\(name): not in the Swift type")
        for request in requests {
            guard let property = properties[request.path] else { continue }
            #expect(request.isRequired == property.isAlwaysThere, "\(name).\(request.path): optional or not")
            if let kind = request.kind { #expect(kind == property.type, "\(name).\(request.path): type") }
        }
    }

    /// Every property of a schema by path.
    private func collect(
        _ schema: JSONValue, path: String, into properties: inout [String: (isAlwaysThere: Bool, type: String?)]
    ) {
        let required = Set((schema["required"]?.arrayValue ?? []).compactMap(\.stringValue))
        for (name, property) in schema["properties"]?.objectValue ?? [:] {
            let child = path.isEmpty ? name : "\(path).\(name)"
            let isAlwaysThere = required.contains(name) || property["default"] != nil
            properties[child] = (isAlwaysThere, property["type"]?.stringValue)
            collect(property, path: child, into: &properties)
            if let items = property["items"] { collect(items, path: child + "[]", into: &properties) }
        }
    }

    @Test func `the Swift types mirror trainingjobs`() throws {
        let schema = try schema("trainingjobs")
        try check(
            TrainingJob.Spec.self, try #require(schema.value(at: ["properties", "spec"])), "TrainingJob.spec")
        try check(
            TrainingJob.Status.self, try #require(schema.value(at: ["properties", "status"])), "TrainingJob.status")
    }

    @Test func `the Swift types mirror gcsartifacts`() throws {
        let schema = try schema("gcsartifacts")
        try check(
            GCSArtifact.Spec.self, try #require(schema.value(at: ["properties", "spec"])), "GCSArtifact.spec")
        try check(
            GCSArtifact.Status.self, try #require(schema.value(at: ["properties", "status"])), "GCSArtifact.status")
    }

    @Test func `the Swift types mirror modelendpoints`() throws {
        let schema = try schema("modelendpoints")
        try check(
            ModelEndpoint.Spec.self, try #require(schema.value(at: ["properties", "spec"])), "ModelEndpoint.spec")
        try check(
            ModelEndpoint.Status.self, try #require(schema.value(at: ["properties", "status"])), "ModelEndpoint.status")
    }

    @Test(arguments: ["trainingjobs", "gcsartifacts", "modelendpoints"])
    func `every string, list and map of a spec is bounded, every field of it described`(file: String) throws {
        let schema = try schema(file)
        visit(try #require(schema.value(at: ["properties", "spec"])), path: "spec", isSpec: true)
        visit(try #require(schema.value(at: ["properties", "status"])), path: "status", isSpec: false)
    }

    private func visit(_ schema: JSONValue, path: String, isSpec: Bool) {
        switch schema["type"]?.stringValue {
        case "string" where schema["format"]?.stringValue != "date-time":
            #expect(schema["maxLength"] != nil, "\(path) has no maxLength")
        case "array": #expect(schema["maxItems"] != nil, "\(path) has no maxItems")
        case "object" where schema["additionalProperties"] != nil:
            #expect(schema["maxProperties"] != nil, "\(path) has no maxProperties")
        default: break
        }
        for (name, property) in schema["properties"]?.objectValue ?? [:] {
            if isSpec { #expect(property["description"] != nil, "\(path).\(name) has no description") }
            visit(property, path: "\(path).\(name)", isSpec: isSpec)
        }
        if let items = schema["items"] { visit(items, path: path + "[]", isSpec: isSpec) }
    }

    @Test(arguments: ["trainingjobs", "gcsartifacts", "modelendpoints"])
    func `an untouched object reads as in progress`(file: String) throws {
        let status = try #require(try schema(file).value(at: ["properties", "status"]))
        #expect(status["default"] == ["observedGeneration": -1])
        #expect(status.value(at: ["properties", "observedGeneration", "default"]) == -1)
    }

    @Test func `every default of the hash's version is the CRD's`() throws {
        var job = spec()
        job.trainer?.hyperparameters = nil
        let text = SpecHash.canonicalText(RunSpec(job))
        for word in ["GKE", "Default", "keepLast", "minBytes", "minCount", "terminationGracePeriodSeconds", "prefix"] {
            #expect(!text.contains(word), "\(word) is a default and must not be hashed: \(text)")
        }
    }

    @Test func `the examples decode`() throws {
        let documents = try Repository.yaml("crds/examples/fashion-mnist.yaml")
        #expect(documents.map { $0["kind"]?.stringValue } == ["GCSArtifact", "GCSArtifact", "TrainingJob"])
    }

    @Test func `an absent block means what its defaults say`() throws {
        let schema = try schema("trainingjobs")
        let spec = ["properties", "spec", "properties"]
        func standard(_ path: [String]) -> Int64? { schema.value(at: spec + path + ["default"])?.integerValue }
        let cleanup = ["cleanup", "properties"]
        #expect(standard(cleanup + ["verificationGraceSeconds"]) == 900)
        #expect(schema.value(at: spec + cleanup + ["compute", "default"]) == "AfterVerification")
        #expect(standard(cleanup + ["childTTLSecondsAfterFinished"]) == 86400)
        #expect(standard(cleanup + ["runHistoryLimit"]) == 10)
        #expect(
            TrainingJob.Cleanup.standard
                == .init(verificationGraceSeconds: 900, childTTLSecondsAfterFinished: 86400, runHistoryLimit: 10))
        #expect(standard(["failurePolicy", "properties", "maxRestarts"]) == 3)
        #expect(TrainingJob.FailurePolicy.standard == .init(maxRestarts: 3))
    }
}
