import ControllerRuntime
import Encoding
import FoundationEssentials
import GoogleCloud
import Kubernetes
import Sandbox
import Testing

@testable import Operator

/// URLs in Secrets: made, renewed, and nowhere else.
@Suite(.timeLimit(.minutes(2))) struct ArtifactSignedURLTests {
    private static let secrets = ResourceType(group: "", version: "v1", kind: "Secret", plural: "secrets")

    private static func manifest(_ expires: Int = 3600) -> String {
        """
        apiVersion: trainyard.dev/v1alpha1
        kind: GCSArtifact
        metadata: {name: runs}
        spec:
          artifactType: Model
          layout: Flat
          bucket: {name: runs-bucket, location: us-central1}
          prefix: models/
          access:
            signedURLs:
            - {name: read, path: a b/model.safetensors, expiresInSeconds: \(expires), secretName: read-url}
            - {name: write, path: upload.bin, method: PUT, expiresInSeconds: 604800, secretName: write-url}
        """
    }

    private static func world(_ expires: Int = 3600) async throws -> ArtifactWorld {
        let world = try ArtifactWorld()
        world.cloud.addServiceAccount(ArtifactWorld.signer)
        try await world.apply(manifest(expires))
        try await world.settle(horizon: .seconds(20))
        return world
    }

    private func secret(_ name: String, _ world: ArtifactWorld) async throws -> [String: String] {
        let secret = try await world.admin.find(Self.secrets, namespace: "default", name: name)
        return (secret?["data"]?.objectValue ?? [:]).mapValues { value in
            String(decoding: Base64.decode(value.stringValue ?? "") ?? [], as: UTF8.self)
        }
    }

    private func signed(_ world: ArtifactWorld) async throws -> String? {
        try await world.artifact()?.status?.conditions.first(ofType: "URLsSigned").map {
            "\($0.status.rawValue)/\($0.reason): \($0.message)"
        }
    }

    @Test func `each URL is in a Secret of the artifact's, is renewed at half of its life, and goes with it`()
        async throws
    {
        let world = try await Self.world()
        #expect(try await signed(world) == "True/Signed: each is in its Secret")
        let first = try await secret("read-url", world)
        let url = try #require(first["url"])
        #expect(url.hasPrefix("https://storage.googleapis.com/runs-bucket/models/a%20b/model.safetensors?X-Goog-Alg"))
        let status = try #require(try await world.artifact()?.status)
        #expect(status.signedURLs.map(\.name) == ["read", "write"])
        #expect(status.signedURLs.first?.expirationTime?.description == first["expirationTime"])
        #expect(!(try JSONValue(encoding: status).serializedText().contains("X-Goog")))
        let owner = try await world.admin.find(Self.secrets, namespace: "default", name: "read-url")?.value(
            at: ["metadata", "ownerReferences"])?[0]
        #expect(owner?["uid"]?.stringValue == (try await world.artifact()?.metadata.uid))
        // Nothing more happens in the first half.
        world.crash.clear()
        try await world.settle(horizon: .seconds(1700))
        #expect(world.crash.log == [])
        try await world.settle(horizon: .seconds(700))
        let second = try await secret("read-url", world)
        #expect(second["url"] != url)
        #expect(world.crash.log.filter { $0.contains("secrets") }.count == 2)
        #expect(world.crash.log.filter { $0.contains("/status") }.count == 1)
        // The other one lives for a week, and Google's keys do not.
        let before = try await secret("write-url", world)
        try await world.settle(horizon: .seconds(11 * 3600))
        #expect(try await secret("write-url", world) != before)
        try await world.delete()
        try await world.settle()
        #expect(try await world.artifact() == nil)
    }

    @Test func `a Secret that is somebody else's is not touched, and that is told`() async throws {
        let world = try ArtifactWorld()
        world.cloud.addServiceAccount(ArtifactWorld.signer)
        try await world.admin.create(
            Self.secrets,
            ["metadata": ["name": "read-url", "namespace": "default"], "data": ["password": "c2VjcmV0"]])
        try await world.apply(Self.manifest())
        try await world.settle()
        #expect(try await secret("read-url", world) == ["password": "secret"])
        let told = try #require(try await signed(world))
        #expect(told.hasPrefix("False/SecretNotOurs: the Secret read-url exists and is not this artifact's"), "\(told)")
        #expect(try await world.artifact()?.status?.conditions.isTrue("Ready") == true)
        world.crash.clear()
        try await world.settle(horizon: .seconds(300))
        #expect(!world.crash.log.isEmpty)
        #expect(world.crash.log.allSatisfy { $0.contains("secrets") || $0.contains("signBlob") }, "\(world.crash.log)")
        // Mended: it goes on by itself.
        try await world.admin.delete(ObjectReference(type: Self.secrets, namespace: "default", name: "read-url"))
        try await world.settle(horizon: .seconds(130))
        #expect(try await signed(world) == "True/Signed: each is in its Secret")
    }

    @Test func `an account that is not there is told`() async throws {
        let world = try ArtifactWorld()
        try await world.apply(Self.manifest())
        try await world.settle()
        #expect(try await signed(world)?.hasPrefix("False/SigningFailed: ") == true)
        world.cloud.addServiceAccount(ArtifactWorld.signer)
        try await world.settle(horizon: .seconds(130))
        #expect(try await signed(world) == "True/Signed: each is in its Secret")
    }

    @Test(arguments: CrashSwitch.Moment.allCases)
    func `a crash anywhere leaves URLs that are good`(_ moment: CrashSwitch.Moment) async throws {
        let reference = try await Self.world()
        for change in 1...reference.crash.changeCount {
            let world = try ArtifactWorld()
            world.cloud.addServiceAccount(ArtifactWorld.signer)
            world.crash.arm(change, moment)
            try await world.apply(Self.manifest())
            try await world.settle(horizon: .seconds(20))
            let status = try #require(try await world.artifact()?.status)
            #expect(status.conditions.isTrue("URLsSigned"), "change \(change)")
            #expect(
                try await secret("read-url", world)["expirationTime"]
                    == status.signedURLs.first?.expirationTime?.description, "change \(change)")
        }
    }

    @Test func `another wish is signed at once, and what is due follows from the time`() throws {
        let url = GCSArtifact.SignedURL(name: "a", path: "x", expiresInSeconds: 600, secretName: "s")
        var artifact = Artifacts.artifact(layout: .flat, status: Artifacts.status(uri: "gs://runs-bucket/"))
        artifact.spec.access = .init(bindings: nil, signedURLs: [url])
        func due(_ age: Int, _ change: (inout GCSArtifact.SignedURL) -> Void = { _ in }) -> [String] {
            var observation = Artifacts.observation(artifact)
            let end = observation.now + .seconds(600 - age)
            let target = GCSArtifactSignedURLs.target(url, place: observation.place)
            observation.artifact.status?.signedURLs = [
                .init(
                    name: "a", secretName: "s", expirationTime: end,
                    target: target)
            ]
            var changed = url
            change(&changed)
            observation.artifact.spec.access?.signedURLs = [changed]
            return GCSArtifactSignedURLs.due(observation)
        }
        #expect(due(0) == [])
        #expect(due(299) == [])
        #expect(due(300) == ["a"])
        #expect(due(-30) == [])
        #expect(due(-61) == ["a"], "from a clock that was set back")
        #expect(due(0) { $0.path = "y" } == ["a"])
        #expect(due(0) { $0.method = .put } == ["a"])
        #expect(due(0) { $0.secretName = "t" } == ["a"])
    }

    /// Python's opinion of what the operator made, the simulated cloud signed, and a Secret holds.
    @Test func `an independent verifier accepts the URL, until it expires and until anything is changed`() async throws
    {
        let world = try await Self.world()
        let url = try #require(try await secret("read-url", world)["url"])
        let folder = FileManager.default.temporaryDirectory.path + "/signed-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let start =
            try #require(
                try await world.artifact()?.status?.signedURLs.first?.expirationTime
            ).seconds - 3600
        let cases: [(String, Int64, String)] = [
            (url, start, "OK"), (url, start + 3599, "OK"), (url, start + 3600, "ExpiredToken"),
            (url, start - 1, "ExpiredToken"),
            (url.replacing("model.safetensors", with: "other"), start, "SignatureDoesNotMatch"),
            (url.replacing("Expires=3600", with: "Expires=7200"), start, "SignatureDoesNotMatch"),
            (url.replacing("Signature=", with: "Signature=00"), start, "SignatureDoesNotMatch"),
        ]
        let asked: JSONValue = [
            "key": .string(SigningKey.publicKey),
            "cases": .array(cases.map { ["url": .string($0.0), "now": .integer($0.1)] }),
        ]
        try Data(asked.serializedText().utf8).write(to: URL(filePath: folder + "/in.json"))
        guard try await PythonProgram.exit("-c", "import cryptography") == 0 else {
            print("skipped: there is no python3 with the module cryptography")
            return
        }
        #expect(try await PythonProgram.exit("-c", Self.verifier, folder) == 0)
        let bytes = Array(try Data(contentsOf: URL(filePath: folder + "/out.json")))
        #expect(try JSONValue(parsing: bytes).arrayValue?.compactMap(\.stringValue) == cases.map(\.2))
    }

    private static let verifier = #"""
        import calendar, hashlib, json, sys, time
        from urllib.parse import parse_qsl, quote, unquote, urlsplit
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding

        folder = sys.argv[1]
        asked = json.load(open(folder + "/in.json"))
        key = serialization.load_pem_public_key(asked["key"].encode())

        def opinion(url, now):
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            signature = bytes.fromhex(query.pop("X-Goog-Signature"))
            start = calendar.timegm(time.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ"))
            text = "&".join(quote(k, safe="~") + "=" + quote(v, safe="~") for k, v in sorted(query.items()))
            canonical = "\n".join(["GET", quote(unquote(parts.path), safe="/~"), text,
                                   "host:" + parts.netloc, "", "host", "UNSIGNED-PAYLOAD"])
            scope = query["X-Goog-Credential"].split("/", 1)[1]
            blob = "\n".join([query["X-Goog-Algorithm"], query["X-Goog-Date"], scope,
                              hashlib.sha256(canonical.encode()).hexdigest()])
            try:
                key.verify(signature, blob.encode(), padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                return "SignatureDoesNotMatch"
            return "ExpiredToken" if not start <= now < start + int(query["X-Goog-Expires"]) else "OK"

        json.dump([opinion(a["url"], a["now"]) for a in asked["cases"]], open(folder + "/out.json", "w"))
        """#
}
