import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Sandbox
import Telemetry
import Testing
import TrainingContract

@testable import ControllerRuntime
@testable import Operator

/// An installation whose role lacks one verb says which one, where the user looks.
@Suite struct MissingRightTests {
    private static func rules(without verb: String, _ resource: String) throws -> [JSONValue] {
        let role = try Repository.yaml("charts/trainyard/files/clusterrole-rules.yaml")
        return try #require(role.first?["rules"]?.arrayValue).flatMap { rule -> [JSONValue] in
            let resources = rule["resources"]?.arrayValue ?? []
            guard resources.contains(.string(resource)) else { return [rule] }
            var rest = rule
            rest["resources"] = .array(resources.filter { $0 != .string(resource) })
            var cut = rule
            cut["resources"] = [.string(resource)]
            cut["verbs"] = .array((rule["verbs"]?.arrayValue ?? []).filter { $0 != .string(verb) })
            return [rest, cut]
        }
    }

    @Test(arguments: [
        ("create", "jobs"), ("create", "controllerrevisions"), ("get", "controllerrevisions"), ("patch", "services"),
        ("create", "services"),
    ])
    func `a run that may not go on says what is missing`(verb: String, resource: String) async throws {
        let world = try await OperatorWorld(
            rules: try Self.rules(without: verb, resource), program: Trainers.succeeding())
        try await world.create()
        try await world.run { job in
            let ready = job?.status?.conditions.first(ofType: "Ready")
            return ready?.status == .false
                && ready?.message.contains("cannot \(verb) resource \"\(resource)\"") == true
        }
    }

    @Test(arguments: [("delete", "jobs")])
    func `a deletion that may not go on says what is missing`(verb: String, resource: String) async throws {
        let world = try await OperatorWorld(
            rules: try Self.rules(without: verb, resource), program: Trainers.interrupted())
        try await world.create()
        try await world.run { $0?.status?.state == "Training" }
        try await world.delete()
        try await world.run { job in
            job?.status?.conditions.contains { $0.message.contains("cannot \(verb) resource \"\(resource)\"") } == true
        }
    }
}
