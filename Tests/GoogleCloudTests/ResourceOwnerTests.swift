import Encoding
import GoogleCloud
import HTTP
import Testing

@Suite struct ResourceOwnerTests {
    static let labels = ["trainyard-owner-uid": "u1", "trainyard-cluster-uid": "k1"]
    let owner = ResourceOwner(ownerUID: "u1", clusterUID: "k1")

    /// Labels that are not the owner's, each for one reason.
    static let foreign: [[String: String]?] = [
        nil, [:], ["trainyard-owner-uid": "u1"], ["trainyard-cluster-uid": "k1"],
        ["trainyard-owner-uid": "u2", "trainyard-cluster-uid": "k1"],
        ["trainyard-owner-uid": "u1", "trainyard-cluster-uid": "k2"],
        ["trainyard-owner-uid": "", "trainyard-cluster-uid": "k1"],
        ["trainyard-owner-uid": "u1 ", "trainyard-cluster-uid": "k1"],
        ["Trainyard-owner-uid": "u1", "trainyard-cluster-uid": "k1"],
    ]

    /// A resource as the API returns it.
    func resource<Value>(
        _ reply: JSONValue, _ call: (GoogleCloudClient) async throws(APIError) -> Value
    ) async throws -> Value {
        let transport = ScriptedTransport { _, _ in .reply(.json(reply)) }
        return try await call(
            GoogleCloudClient(transport: transport, tokens: NoTokens(), clock: ImpatientClock()))
    }

    func json(_ labels: [String: String]?) -> JSONValue {
        labels.map { .object($0.mapValues(JSONValue.string)) } ?? nil
    }

    /// Whether each kind of resource with these labels is the owner's.
    func verdicts(_ labels: [String: String]?) async throws -> [Bool] {
        let owner = try #require(owner)
        let zone = LocationName(project: "p1", location: "us-central1-a")
        let pool = NodePool(name: "a", config: NodeConfig(resourceLabels: labels))
        let bucket = Bucket(name: "a", projectNumber: 42, metageneration: 1, labels: labels)
        let node = try await resource(["name": "n", "labels": json(labels)]) { google throws(APIError) in
            try await TPUClient(google).node("n", in: zone)
        }
        let spec: JSONValue = ["node": ["labels": json(labels)]]
        let queued = try await resource(["name": "q", "tpu": ["nodeSpec": [spec, spec]]]) { google throws(APIError) in
            try await TPUClient(google).queuedResource("q", in: zone)
        }
        let service = try await resource(["name": "s", "labels": json(labels)]) { google throws(APIError) in
            try await RunClient(google).service("s", in: zone)
        }
        return [
            owner.owns(labels: labels), owner.owns(pool), owner.owns(bucket, projectNumber: 42), owner.owns(node),
            owner.owns(queued), owner.owns(service),
        ]
    }

    @Test func `a resource with both labels is ours, whatever else it carries`() async throws {
        #expect(owner?.labels == Self.labels)
        let more = Self.labels.merging(["team": "ml"]) { first, _ in first }
        #expect(try await verdicts(more) == Array(repeating: true, count: 6))
    }

    @Test(arguments: foreign)
    func `a resource that lacks a label or has another's is not ours`(labels: [String: String]?) async throws {
        #expect(try await verdicts(labels) == Array(repeating: false, count: 6))
    }

    @Test func `a bucket of another project is not ours, whatever its labels say`() {
        let bucket = Bucket(name: "a", projectNumber: 43, metageneration: 1, labels: Self.labels)
        #expect(owner?.owns(bucket, projectNumber: 42) == false)
        let unknown = Bucket(name: "a", projectNumber: 0, metageneration: 1, labels: Self.labels)
        #expect(owner?.owns(unknown, projectNumber: 0) == false)
    }

    @Test func `a queued resource whose nodes disagree, or that has none, is nobody's`() async throws {
        let zone = LocationName(project: "p1", location: "us-central1-a")
        let ours: JSONValue = ["node": ["labels": json(Self.labels)]]
        for specs: JSONValue in [[], [ours, [:]], [ours, ["node": ["labels": ["trainyard-owner-uid": "u1"]]]]] {
            let queued = try await resource(["name": "q", "tpu": ["nodeSpec": specs]]) { google throws(APIError) in
                try await TPUClient(google).queuedResource("q", in: zone)
            }
            #expect(ResourceOwner(queued) == nil)
        }
    }

    @Test func `an empty uid owns nothing`() {
        #expect(ResourceOwner(ownerUID: "", clusterUID: "k1") == nil)
        #expect(ResourceOwner(ownerUID: "u1", clusterUID: "") == nil)
    }
}
