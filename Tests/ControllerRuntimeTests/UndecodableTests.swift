import Encoding
import HTTP
import Kubernetes
import Sandbox
import Testing

@testable import ControllerRuntime

/// One of ours that cannot be read: told in its status, once, and nobody else is affected.
@Suite(.timeLimit(.minutes(5))) struct UndecodableTests {
    private let now = Timestamp(seconds: 1_000_000)

    private func object(_ status: JSONValue? = nil, manager: String? = nil) -> JSONValue {
        var object: JSONValue = [
            "metadata": ["name": "w", "namespace": "ns", "resourceVersion": "7", "generation": 3],
            "spec": ["size": "three"],
        ]
        if let status { object["status"] = status }
        if let manager { object["spec"] = ["managedBy": .string(manager)] }
        return object
    }

    @Test func `the patch has the version as its precondition, and leaves other conditions alone`() {
        let other: JSONValue = ["type": "Healthy", "status": "True", "reason": "R", "message": "m"]
        let ready: JSONValue = [
            "type": "Ready", "status": "False", "reason": "Other", "lastTransitionTime": "2020-01-01T00:00:00Z",
        ]
        let going: JSONValue = ["type": "Reconciling", "status": "True"]
        let patch = UndecodableStatus.patch(
            of: object(["conditions": [ready, going, other], "run": "r"]), message: "size: not a number", now: now)
        let text: JSONValue = "the operator cannot read this object: size: not a number"
        #expect(
            patch == [
                "metadata": ["resourceVersion": "7"],
                "status": [
                    "conditions": [
                        other,
                        [
                            "type": "Ready", "status": "False", "reason": "Undecodable", "message": text,
                            "lastTransitionTime": "2020-01-01T00:00:00Z", "observedGeneration": 3,
                        ],
                        [
                            "type": "Stalled", "status": "True", "reason": "Undecodable", "message": text,
                            "lastTransitionTime": "1970-01-12T13:46:40Z", "observedGeneration": 3,
                        ],
                    ]
                ],
            ])
    }

    @Test func `what it says already is not written again; somebody else's object is not touched`() {
        let first = UndecodableStatus.patch(of: object(), message: "m", now: now)
        let later = object(first?["status"])
        #expect(UndecodableStatus.patch(of: later, message: "m", now: now + .seconds(60)) == nil)
        #expect(UndecodableStatus.patch(of: later, message: "other", now: now) != nil)
        #expect(
            UndecodableStatus.patch(of: object(manager: "kueue.x-k8s.io/multikueue"), message: "m", now: now) == nil)
        #expect(UndecodableStatus.patch(of: object(manager: "trainyard.dev/operator"), message: "m", now: now) != nil)
    }

    @Test func `one among a thousand stalls alone, says why once, and goes on when it is mended`() async throws {
        let world = try await Replicas()
        try await world.cluster.create("poison", size: "three")
        for number in 0..<100 { try await world.cluster.create("w\(number)") }
        let (manager, interceptor) = world.replica("a", isElected: false)
        async let exit = manager.run()
        try await world.advance(until: "the others are ready, and it says why") {
            for number in 0..<100 where !(try await world.cluster.isReady("w\(number)")) { return false }
            return try await conditions(world) == ["Ready=False/Undecodable", "Stalled=True/Undecodable"]
        }
        #expect(manager.statistics.kinds.first { $0.resource == "widgets.example.com" }?.undecodableCount == 1)
        let start = world.clock.now
        try await world.advance(until: "an hour", by: .seconds(15)) { world.clock.now - start > .seconds(3600) }
        #expect(interceptor.log.filter { $0 == "PATCH widgets/poison/status" }.count == 1)
        #expect(world.cloud.sizes.count == 100)
        try await world.cluster.resize("poison", to: 5)
        try await world.advance(until: "it is mended") {
            try await conditions(world) == ["Ready=True/Made"]
        }
        #expect(world.cloud.sizes.count == 101)
        // Poisoned again while it is in use: what it has stays, and it says why.
        try await world.cluster.resize("poison", to: "many")
        try await world.advance(until: "it says why") {
            try await conditions(world) == ["Ready=False/Undecodable", "Stalled=True/Undecodable"]
        }
        #expect(world.cloud.sizes.count == 101)
        manager.stop()
        #expect(await exit == .stopped)
    }

    private func conditions(_ world: Replicas) async throws -> [String] {
        let object = try await world.cluster.admin.get(Widget.resourceType, namespace: "ns", name: "poison")
        return (object.value(at: ["status", "conditions"])?.arrayValue ?? []).map {
            "\($0["type"]?.stringValue ?? "")=\($0["status"]?.stringValue ?? "")/\($0["reason"]?.stringValue ?? "")"
        }
    }
}
