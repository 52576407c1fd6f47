import Encoding
import HTTP
import Kubernetes
import Operator
import Sandbox

/// The artifacts of the measurement: homes, which have a bucket each, and prefixes in the homes' buckets; beside them
/// decoys that look like ours.
struct ArtifactLoad: Sendable {
    static let project = "bench-project"
    static let clusterUID = "3c0ffee0-0000-4000-8000-000000000001"
    static let namespaceCount = 20

    let homeCount: Int
    let prefixCount: Int

    // MARK: Names

    static func home(_ index: Int) -> String { "home-\(index)" }
    static func bucket(_ index: Int) -> String { "bench-home-\(index)" }
    static func namespace(_ home: Int) -> String { "team-\(home % namespaceCount)" }
    static func data(_ index: Int) -> String { "data-\(index)" }
    static func prefix(_ index: Int) -> String { "a/\(index)/" }

    /// What a change of the cloud is meant for.
    enum Target: Sendable, Equatable {
        case bucketCreation(String)
        case bucket(String)
        case object(String, in: String)
        case other

        init(_ request: HTTPRequest) {
            let segments = request.url.decodedSegments ?? []
            guard let index = segments.firstIndex(of: "b") else {
                self = .other
                return
            }
            guard segments.count > index + 1 else {
                let name = (try? JSONValue(parsing: request.body))?["name"]?.stringValue  // What is no JSON names none.
                self = .bucketCreation(name ?? "")
                return
            }
            let bucket = segments[index + 1]
            guard segments.count > index + 2, segments[index + 2] == "o" else {
                self = .bucket(bucket)
                return
            }
            let name = segments.count > index + 3 ? segments[index + 3] : request.url.queryValue("name") ?? ""
            self = .object(name, in: bucket)
        }
    }

    /// What the operator may change now.
    struct Places: Sendable {
        var buckets: Set<String> = []
        /// With the / at the end, by bucket.
        var prefixes: [String: Set<String>] = [:]
        /// The homes are being deleted, and with them everything in their buckets.
        var bucketsMayGo = false

        func contains(_ target: Target) -> Bool {
            switch target {
            case .other: return false
            case .bucketCreation(let name), .bucket(let name): return buckets.contains(name)
            case .object(let name, let bucket):
                if bucketsMayGo { return buckets.contains(bucket) }
                let parts = name.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
                return parts.count == 3 && prefixes[bucket]?.contains("\(parts[0])/\(parts[1])/") == true
            }
        }
    }

    /// - Parameter homes: by index, those that have prefixes.
    func places(homes: [Int]) -> Places {
        var places = Places()
        places.buckets = Set((0..<homeCount).map(Self.bucket))
        for index in 0..<prefixCount {
            places.prefixes[Self.bucket(homes[index % homes.count]), default: []].insert(Self.prefix(index))
        }
        return places
    }

    // MARK: Objects

    static func homeArtifact(_ index: Int) -> JSONValue {
        artifact(
            home(index), in: namespace(index),
            [
                "bucket": ["name": .string(bucket(index)), "location": "us-central1"], "prefix": "home/",
                "deletionPolicy": "DeleteBucket",
            ])
    }

    static func dataArtifact(_ index: Int, home: Int) -> JSONValue {
        artifact(
            data(index), in: namespace(home),
            [
                "bucketRef": ["name": .string(self.home(home))], "prefix": .string(prefix(index)),
                "deletionPolicy": "DeleteObjects",
            ])
    }

    /// Its deletion is confirmed from the start.
    private static func artifact(_ name: String, in namespace: String, _ spec: JSONValue) -> JSONValue {
        [
            "apiVersion": "trainyard.dev/v1alpha1", "kind": "GCSArtifact",
            "metadata": [
                "name": .string(name), "namespace": .string(namespace),
                "annotations": [Ownership.confirmDeletionAnnotation: .string(name)],
            ], "spec": spec,
        ]
    }

    // MARK: Decoys

    /// Buckets of the same prefix: another cluster's, one without labels, one with our cluster's label and an owner whom
    /// nobody knows. Each is claimed by an artifact that asks for its deletion.
    static let decoyBuckets: [(name: String, labels: [String: String])] = [
        ("bench-home-another", Ownership.googleLabels(ownerUID: "owner-of-another", clusterUID: "another-cluster")),
        ("bench-home-plain", ["team": "a"]),
        ("bench-home-nobody", Ownership.googleLabels(ownerUID: "nobody", clusterUID: clusterUID)),
    ]

    static func claim(_ index: Int) -> JSONValue {
        artifact(
            "claim-\(index)", in: namespace(index),
            [
                "bucket": ["name": .string(decoyBuckets[index].name), "location": "us-central1"], "prefix": "home/",
                "deletionPolicy": "DeleteBucket",
            ])
    }

    /// Objects beside the prefixes: names that begin as they do, and end otherwise.
    func decoyObjects(homes: [Int]) -> [(bucket: String, name: String)] {
        var objects = homes.map { (bucket: Self.bucket($0), name: "b/keep") }
        for index in stride(from: 0, to: prefixCount, by: max(1, prefixCount / 40)) {
            let bucket = Self.bucket(homes[index % homes.count])
            objects += [(bucket, "a/\(index)"), (bucket, "a/\(index)x/keep")]
        }
        return objects
    }
}
