import Encoding
import FoundationEssentials
import GoogleCloud
import HTTP
import System
import Testing

@Suite struct SignedURLTests {
    private static let account = "signer@sandbox-project.iam.gserviceaccount.com"
    private static let now = Timestamp(seconds: 1_795_255_200)

    private static func request(
        _ method: SignedURLRequest.Method, _ name: String, lifetime: Duration, at time: Timestamp = SignedURLTests.now
    ) throws -> SignedURLRequest {
        try SignedURLRequest(
            method, #require(StorageURI(bucket: "runs-bucket", path: name)), as: account, at: time, lifetime: lifetime)
    }

    /// What google-cloud-storage 3 for Python makes of the same.
    @Test(arguments: [
        (
            SignedURLRequest.Method.get, "models/a/model.safetensors", "models/a/model.safetensors", 3600,
            "6e28b9ca478e0baad5fe9f83fcf1f1effee7a82a1cf2ae020b7f4f86f39d5690"
        ),
        (
            .put, "a b/ü+%~(1).txt", "a%20b/%C3%BC%2B%25~%281%29.txt", 604_800,
            "eef784bf71964c9f558aa0d8417e8af402625d92ef947a9d9cb3689d049bae19"
        ),
    ]) func `it signs what Google's own client signs`(
        _ method: SignedURLRequest.Method, name: String, path: String, seconds: Int, hash: String
    ) throws {
        let request = try Self.request(method, name, lifetime: .seconds(seconds))
        #expect(
            request.stringToSign
                == "GOOG4-RSA-SHA256\n20261121T100000Z\n20261121/auto/storage/goog4_request\n\(hash)")
        #expect(
            request.url(signature: (0..<16).map { UInt8($0) })
                == "https://storage.googleapis.com/runs-bucket/\(path)?X-Goog-Algorithm=GOOG4-RSA-SHA256"
                + "&X-Goog-Credential=signer%40sandbox-project.iam.gserviceaccount.com%2F20261121%2Fauto%2Fstorage"
                + "%2Fgoog4_request&X-Goog-Date=20261121T100000Z&X-Goog-Expires=\(seconds)&X-Goog-SignedHeaders=host"
                + "&X-Goog-Signature=000102030405060708090a0b0c0d0e0f")
        #expect(request.expirationTime == Self.now + .seconds(seconds))
    }

    @Test(arguments: [
        ("a folder", "models/", account, 60), ("too long", "a", account, 604_801), ("no time", "a", account, 0),
        ("no account", "a", "somebody", 60), ("a part that clients resolve", "a/../b", account, 60),
    ]) func `what cannot be signed is refused`(_ name: String, path: String, account: String, seconds: Int) throws {
        let place = try #require(StorageURI(bucket: "runs-bucket", path: path))
        let error = #expect(throws: APIError.self) {
            try SignedURLRequest(.get, place, as: account, at: Self.now, lifetime: .seconds(seconds))
        }
        #expect(error?.code == .invalid)
    }

    // MARK: Somebody else's opinion

    /// Signs as `signBlob` does, and looks at URLs as Cloud Storage does: from the URL and the time alone.
    private static let script = #"""
        import base64, calendar, hashlib, json, sys, time
        from urllib.parse import parse_qsl, quote, unquote, urlsplit
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        folder, mode = sys.argv[1:]
        pem = folder + "/key.pem"
        if mode == "sign":
            key = rsa.generate_private_key(65537, 2048)
            open(pem, "wb").write(key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            texts = json.load(open(folder + "/in.json"))
            out = [base64.b64encode(key.sign(t.encode(), padding.PKCS1v15(), hashes.SHA256())).decode() for t in texts]
            json.dump(out, open(folder + "/out.json", "w"))
            sys.exit()

        key = serialization.load_pem_private_key(open(pem, "rb").read(), None).public_key()

        def opinion(method, url, now):
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            signature = bytes.fromhex(query.pop("X-Goog-Signature"))
            start = calendar.timegm(time.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ"))
            text = "&".join(quote(k, safe="~") + "=" + quote(v, safe="~") for k, v in sorted(query.items()))
            canonical = "\n".join([method, quote(unquote(parts.path), safe="/~"), text,
                                   "host:" + parts.netloc, "", "host", "UNSIGNED-PAYLOAD"])
            scope = query["X-Goog-Credential"].split("/", 1)[1]
            blob = "\n".join([query["X-Goog-Algorithm"], query["X-Goog-Date"], scope,
                              hashlib.sha256(canonical.encode()).hexdigest()])
            try:
                key.verify(signature, blob.encode(), padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                return "SignatureDoesNotMatch"
            return "ExpiredToken" if not start <= now < start + int(query["X-Goog-Expires"]) else "OK"

        asked = json.load(open(folder + "/in.json"))
        json.dump([opinion(a["method"], a["url"], a["now"]) for a in asked], open(folder + "/out.json", "w"))
        """#

    private struct Python {
        let folder: String

        func run(_ mode: String, _ input: JSONValue) async throws -> [String]? {
            try Data(input.serializedText().utf8).write(to: URL(filePath: folder + "/in.json"))
            guard try await exit("-c", SignedURLTests.script, folder, mode) == .status(0) else { return nil }
            let bytes = Array(try Data(contentsOf: URL(filePath: folder + "/out.json")))
            return try JSONValue(parsing: bytes).arrayValue?.compactMap(\.stringValue)
        }

        func exit(_ arguments: String...) async throws -> Subprocess.Exit? {
            let environment = ["PATH", "HOME"].compactMap { name in
                ProcessInfo.processInfo.environment[name].map { "\(name)=\($0)" }
            }
            let pid = try Subprocess.start("/usr/bin/env", ["python3"] + arguments, environment: environment)
            defer { Subprocess.reap(pid) }
            for _ in 0..<6000 {
                if let exit = Subprocess.exit(of: pid) { return exit }
                try await Task.sleep(for: .milliseconds(10))
            }
            return nil
        }
    }

    @Test func `an independent verifier agrees, until expiry and until anything is changed`() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/signed-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let python = Python(folder: folder)
        guard try await python.exit("-c", "import cryptography") == .status(0) else {
            print("skipped: there is no python3 with the module cryptography")
            return
        }
        let requests = [
            try Self.request(.get, "models/a b/ü+%~(1).safetensors", lifetime: .seconds(3600)),
            try Self.request(.put, "uploads/x", lifetime: .seconds(604_800)),
        ]
        let signatures = try #require(
            try await python.run("sign", .array(requests.map { .string($0.stringToSign) })))
        let urls = try zip(requests, signatures).map { request, text in
            request.url(signature: try #require(Base64.decode(text)))
        }
        let start = Self.now.seconds
        let cases: [(String, String, Int64, String)] = [
            ("GET", urls[0], start, "OK"), ("GET", urls[0], start + 3599, "OK"), ("PUT", urls[1], start + 86_400, "OK"),
            ("GET", urls[0], start + 3600, "ExpiredToken"), ("GET", urls[0], start - 1, "ExpiredToken"),
            ("PUT", urls[1], start + 604_800, "ExpiredToken"),
            ("PUT", urls[0], start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("models", with: "other"), start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("runs-bucket", with: "my-bucket"), start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("Expires=3600", with: "Expires=7200"), start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("Date=20261121", with: "Date=20261122"), start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("signer%40", with: "boss%40"), start, "SignatureDoesNotMatch"),
            ("GET", urls[0] + "&generation=1", start, "SignatureDoesNotMatch"),
            ("GET", urls[0].replacing("//storage.", with: "//evil."), start, "SignatureDoesNotMatch"),
        ]
        let opinions = try await python.run(
            "verify",
            .array(cases.map { ["method": .string($0.0), "url": .string($0.1), "now": .integer($0.2)] }))
        #expect(opinions == cases.map(\.3))
    }
}
