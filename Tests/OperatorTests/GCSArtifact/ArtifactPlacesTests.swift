import ControllerRuntime
import GoogleCloud
import Kubernetes
import Testing

@testable import Operator

@Suite struct ArtifactPlacesTests {
    private static func artifact(
        _ name: String, in namespace: String = "ml", bucket: String? = nil, home: String? = nil, prefix: String? = nil,
        version: Int = 1
    ) -> GCSArtifact {
        var artifact = Artifacts.artifact(bucket: nil, bucketRef: home, prefix: prefix)
        artifact.spec.bucket = bucket.map { GCSArtifact.Bucket(name: $0, location: "us-central1") }
        artifact.metadata = ObjectMeta(
            name: name, namespace: namespace, uid: "uid-of-\(namespace)-\(name)", resourceVersion: String(version))
        return artifact
    }

    private static func names(_ places: ArtifactPlaces, _ uri: String) throws -> [String] {
        places.keys(near: try #require(StorageURI(uri))).map(\.name).sorted()
    }

    @Test func `neighbours are those above, below and at a place, and whoever has the bucket`() throws {
        let store = ObjectStore<GCSArtifact>()
        // Known before the index is made.
        store.put(Self.artifact("home", bucket: "bucket", prefix: "home/"))
        let places = ArtifactPlaces(of: store)
        for (name, prefix) in [("a", "a/"), ("ab", "a/b/"), ("abc", "a/b/c/"), ("ax", "ax/"), ("z", "z/")] {
            store.put(Self.artifact(name, home: "home", prefix: prefix))
        }
        // Elsewhere: another namespace's home of that name, another bucket.
        store.put(Self.artifact("foreign", in: "other", home: "home", prefix: "a/b/"))
        store.put(Self.artifact("second", bucket: "bucket-2"))
        #expect(try Self.names(places, "gs://bucket/a/b/") == ["a", "ab", "abc", "home"])
        #expect(try Self.names(places, "gs://bucket/a/") == ["a", "ab", "abc", "home"])
        #expect(try Self.names(places, "gs://bucket/a/b/c/d/") == ["a", "ab", "abc", "home"])
        #expect(try Self.names(places, "gs://bucket/ax/y/") == ["ax", "home"])
        #expect(try Self.names(places, "gs://bucket/") == ["a", "ab", "abc", "ax", "home", "z"])
        #expect(try Self.names(places, "gs://bucket-2/a/") == ["second"])
        #expect(try Self.names(places, "gs://bucket-3/a/") == [])
    }

    @Test func `the index follows the store`() throws {
        let store = ObjectStore<GCSArtifact>()
        let places = ArtifactPlaces(of: store)
        // The prefix comes before its bucket.
        store.put(Self.artifact("a", home: "home", prefix: "a/"))
        #expect(try Self.names(places, "gs://bucket/a/") == [])
        store.put(Self.artifact("home", bucket: "bucket", prefix: "home/"))
        #expect(try Self.names(places, "gs://bucket/a/") == ["a", "home"])
        store.put(Self.artifact("a", home: "home", prefix: "moved/", version: 2))
        #expect(try Self.names(places, "gs://bucket/a/") == ["home"])
        #expect(try Self.names(places, "gs://bucket/moved/x/") == ["a", "home"])
        store.remove(ObjectKey(namespace: "ml", name: "a"), uid: nil, resourceVersion: nil)
        store.remove(ObjectKey(namespace: "ml", name: "home"), uid: nil, resourceVersion: nil)
        #expect(try Self.names(places, "gs://bucket/moved/") == [])
    }
}
