import Encoding
import Glibc
import HTTP
import Telemetry
import Testing

@testable import Kubernetes

@Suite struct CredentialTests {
    // MARK: Token files

    @Test func `a token file is read again after a minute`() async throws {
        let (folder, clock) = (try Folder(), HandClock())
        let file = TokenFile(try folder.write("token", "one\n"), clock: clock)
        #expect(try await file.credential() == Credential(token: "one"))
        try folder.write("token", "two")
        clock.advance(by: .seconds(59))
        #expect(try await file.credential() == Credential(token: "one"))
        clock.advance(by: .seconds(1))
        #expect(try await file.credential() == Credential(token: "two"))
    }

    @Test func `a token file is read at once after a refusal, unless it was read meanwhile`() async throws {
        let (folder, clock) = (try Folder(), HandClock())
        let file = TokenFile(try folder.write("token", "one"), clock: clock)
        let first = try await file.credential()
        try folder.write("token", "two")
        #expect(await file.refused(first))
        #expect(try await file.credential() == Credential(token: "two"))
        try folder.write("token", "three")
        #expect(await file.refused(first))
        #expect(try await file.credential() == Credential(token: "two"))
    }

    @Test func `a clock that is set back does not keep an old token`() async throws {
        let (folder, clock) = (try Folder(), HandClock())
        let file = TokenFile(try folder.write("token", "one"), clock: clock)
        _ = try await file.credential()
        try folder.write("token", "two")
        clock.advance(by: .seconds(-3600))
        #expect(try await file.credential() == Credential(token: "two"))
    }

    @Test func `while the file is away or empty the last token is used; without one it is an error`() async throws {
        let (folder, clock) = (try Folder(), HandClock())
        let path = try folder.write("token", "one")
        let file = TokenFile(path, clock: clock)
        _ = try await file.credential()
        unlink(path)
        clock.advance(by: .seconds(60))
        #expect(try await file.credential() == Credential(token: "one"))
        try folder.write("token", " \n")
        #expect(try await file.credential() == Credential(token: "one"))
        let fresh = TokenFile(path, clock: clock)
        let empty = await failure { () async throws(APIError) in try await fresh.credential() }
        #expect(empty == APIError(.unauthorized, operation: "read the token", message: "\(path) is empty"))
        unlink(path)
        let absent = await failure { () async throws(APIError) in try await fresh.credential() }
        #expect(
            absent
                == APIError(.unauthorized, operation: "read the token", message: "\(path): No such file or directory"))
    }

    @Test func `a token that was renewed in its file is used for the request that was just refused`() async throws {
        let folder = try Folder()
        let path = try folder.write("token", "old")
        let unauthorized = reply(["kind": "Status", "reason": "Unauthorized", "message": "Unauthorized"], 401)
        let server = ScriptedServer([reply([:]), unauthorized, reply([:]), unauthorized, reply([:])])
        let client = server.client(TokenFile(path, clock: HandClock()))
        _ = try await client.get(Pod.resourceType, namespace: "n", name: "a")
        try folder.write("token", "new")
        _ = try await client.get(Pod.resourceType, namespace: "n", name: "a")
        // Not renewed: the refusal is the answer, and nothing is sent twice.
        let error = await failure { () async throws(APIError) in
            try await client.get(Pod.resourceType, namespace: "n", name: "a")
        }
        #expect(error?.message == "Unauthorized; the API server refused the token in \(path)")
        #expect(
            server.requests.map { $0.headers["Authorization"] } == [
                "Bearer old", "Bearer old", "Bearer new", "Bearer new",
            ])
    }

    // MARK: In a pod

    private static let environment = ["KUBERNETES_SERVICE_HOST": "10.1.0.1", "KUBERNETES_SERVICE_PORT": "443"]

    @Test func `a pod's connection comes from its environment and service account`() async throws {
        let folder = try Folder()
        let authority = try folder.write("ca.crt", KubeconfigText.certificate)
        try folder.write("token", "pod-token")
        try folder.write("namespace", "trainyard-system")
        let connection = try ClusterConnection.inCluster(
            environment: CredentialTests.environment, directory: folder.path)
        #expect(connection.server.description == "https://10.1.0.1:443/")
        #expect(connection.tls == CurlOptions.TLS(authority: .file(authority)))
        #expect(connection.namespace == "trainyard-system")
        #expect(try await connection.credentials.credential() == Credential(token: "pod-token"))
        #expect(connection.credentials.origin == "the token in \(folder.path)/token")
    }

    @Test(arguments: ["fd00::1", "[fd00::1]"])
    func `the API server's address may be IPv6`(host: String) throws {
        let folder = try Folder()
        try folder.write("ca.crt", KubeconfigText.certificate)
        try folder.write("token", "t")
        let environment = ["KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"]
        let connection = try ClusterConnection.inCluster(environment: environment, directory: folder.path)
        #expect(connection.server.description == "https://[fd00::1]:6443/")
        #expect(connection.namespace == nil)
    }

    static let missing: [(String, [String: String], [String], ConfigurationError.Code, String)] = [
        (
            "no variables", [:], [], .missing,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT not set: this is not a pod, or its service links are off"
        ),
        (
            "no port", ["KUBERNETES_SERVICE_HOST": "a"], [], .missing,
            "KUBERNETES_SERVICE_PORT not set: this is not a pod, or its service links are off"
        ),
        (
            "a port that is none", ["KUBERNETES_SERVICE_HOST": "a", "KUBERNETES_SERVICE_PORT": "x"], [], .invalid,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address: a, x"
        ),
        (
            "no token", environment, ["ca.crt"], .unreadable,
            "FOLDER/token cannot be read: the pod needs a service account with automountServiceAccountToken"
        ),
        (
            "no authority", environment, ["token"], .unreadable,
            "FOLDER/ca.crt cannot be read: the pod needs a service account with automountServiceAccountToken"
        ),
    ]

    @Test(arguments: missing)
    func `what a pod lacks is named`(
        name: String, environment: [String: String], files: [String], code: ConfigurationError.Code, message: String
    ) throws {
        let folder = try Folder()
        for file in files { try folder.write(file, "x") }
        #expect(throws: ConfigurationError(code, message.replacing("FOLDER", with: folder.path))) {
            try ClusterConnection.inCluster(environment: environment, directory: folder.path)
        }
    }

    // MARK: The rate limit

    @Test func `a burst goes at once, then so many a second`() {
        let start = Duration.seconds(5)
        var bucket = TokenBucket(Rate(perSecond: 10, burst: 3))
        let first = (0..<5).map { _ in bucket.reserve(now: start) }
        #expect(first == [.zero, .zero, .zero, .milliseconds(100), .milliseconds(200)])
        // Two are owed; half a second pays them and gives three more.
        let later = start + .milliseconds(500)
        let second = (0..<5).map { _ in bucket.reserve(now: later) }
        #expect(second == [.zero, .zero, .zero, .milliseconds(100), .milliseconds(200)])
        // However long nobody came, no more than the burst is there.
        let muchLater = start + .seconds(3600)
        let third = (0..<4).map { _ in bucket.reserve(now: muchLater) }
        #expect(third == [.zero, .zero, .zero, .milliseconds(100)])
    }
}
