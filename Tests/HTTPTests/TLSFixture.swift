import Glibc
import HTTP
import Synchronization
import System
import Testing

/// Certificates and keys in a folder of their own, made by `openssl`.
final class TLSFixture: Sendable {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    static let openssl: String? = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first { (path: String) in
        access(path, X_OK) == 0
    }

    let folder: String

    init() throws {
        var template = Array("/tmp/trainyard-tls-XXXXXX".utf8CString)
        folder = try #require(mkdtemp(&template).map { String(cString: $0) })
        for authority in ["authority", "stranger"] {
            try makeKey(authority)
            try run(
                "req", "-x509", "-new", "-key", "\(authority).key", "-subj", "/CN=\(authority)", "-days", "2", "-out",
                "\(authority).crt")
        }
        try issue("server", names: "IP:127.0.0.1")
        try issue("expired", names: "IP:127.0.0.1", days: "-1")
        try issue("elsewhere", names: "DNS:cluster.internal")
        try issue("client", names: "DNS:me")
        try issue("impostor", names: "DNS:me", authority: "stranger")
        try write("reply", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    }

    deinit {
        let names = ["authority", "stranger", "server", "expired", "elsewhere", "client", "impostor"]
        for name in names { for ending in ["key", "crt", "csr", "srl"] { unlink("\(folder)/\(name).\(ending)") } }
        for name in ["reply", "openssl.log"] { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    func file(_ name: String) -> PEM { .file("\(folder)/\(name)") }

    func bytes(_ name: String) throws -> PEM { .bytes(try TLSFixture.read("\(folder)/\(name)")) }

    func identity(_ name: String) -> TLSIdentity {
        TLSIdentity(certificate: file("\(name).crt"), key: file("\(name).key"))
    }

    private func makeKey(_ name: String) throws {
        try run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "\(name).key")
    }

    private func issue(_ name: String, names: String, days: String = "1", authority: String = "authority") throws {
        try makeKey(name)
        try run(
            "req", "-new", "-key", "\(name).key", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names)", "-out",
            "\(name).csr")
        try run(
            "x509", "-req", "-in", "\(name).csr", "-CA", "\(authority).crt", "-CAkey", "\(authority).key",
            "-CAcreateserial", "-copy_extensions", "copy", "-days", days, "-out", "\(name).crt")
    }

    private func run(_ arguments: String...) throws {
        let path = try #require(TLSFixture.openssl)
        let log = open("\(folder)/openssl.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(log) }
        let pid = try Subprocess.start(path, arguments, environment: [], directory: folder, output: log, error: log)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else {
            let text = String(decoding: try TLSFixture.read("\(folder)/openssl.log"), as: UTF8.self)
            throw Failed(description: "openssl \(arguments.joined(separator: " ")): \(text)")
        }
    }

    private func write(_ name: String, _ text: String) throws {
        let file = try #require(fopen("\(folder)/\(name)", "w"))
        defer { fclose(file) }
        #expect(fputs(text, file) >= 0)
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }
}

/// `openssl s_server` on a free port of 127.0.0.1; answers `GET /reply` with "ok", once a connection.
final class TLSServer: Sendable {
    let port: UInt16
    private let pid: Int32
    private let log: String
    /// Its folder goes last.
    private let fixture: TLSFixture

    /// - Parameter options: of `s_server`, beside the address and what it serves.
    init(_ fixture: TLSFixture, certificate: String = "server", _ options: String...) throws {
        let path = try #require(TLSFixture.openssl)
        self.fixture = fixture
        log = "\(fixture.folder)/server-\(UInt64.random(in: .min ... .max)).log"
        let descriptor = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        pid = try Subprocess.start(
            path,
            ["s_server", "-accept", "127.0.0.1:0", "-cert", "\(certificate).crt", "-key", "\(certificate).key"]
                + options + ["-HTTP"],
            environment: [], directory: fixture.folder, output: descriptor, error: descriptor)
        var found: UInt16?
        for _ in 0..<1000 where found == nil {
            let text = String(decoding: try TLSFixture.read(log), as: UTF8.self)
            let line = text.split(separator: "\n").first { $0.hasPrefix("ACCEPT 127.0.0.1:") }
            found = line.flatMap { UInt16($0.dropFirst("ACCEPT 127.0.0.1:".count)) }
            if found == nil { usleep(10_000) }
        }
        guard let found else {
            Subprocess.reap(pid)
            throw TLSFixture.Failed(description: String(decoding: try TLSFixture.read(log), as: UTF8.self))
        }
        port = found
    }

    deinit {
        _ = kill(pid, SIGKILL)
        Subprocess.reap(pid)
        unlink(log)
    }

    var request: HTTPRequest {
        HTTPRequest(.get, HTTPURL(origin: "https://127.0.0.1:\(port)", path: "/reply"), timeout: .seconds(60))
    }

    /// Sends one request with these options.
    func answer(_ options: CurlOptions, identity: TLSIdentity? = nil) async throws -> Result<String, APIError> {
        let client = try CurlTransport(options: options)
        var request = request
        request.identity = identity
        let result: Result<String, APIError>
        do throws(APIError) {
            result = .success(String(decoding: try await client.send(request).body, as: UTF8.self))
        } catch {
            result = .failure(error)
        }
        await client.shutDown()
        return result
    }
}
