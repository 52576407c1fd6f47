import Encoding
import Glibc
import HTTP
import System

/// A credential plugin: a program that prints an `ExecCredential`.
///
/// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
struct ExecPlugin: Sendable {
    static let versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]
    /// Longer output is refused.
    static let outputBytes = 1 << 20

    /// What a plugin printed.
    struct Issued: Sendable, Hashable {
        var credential: Credential
        var expiresAt: Timestamp?
    }

    var apiVersion: String
    /// A path, or a name that is looked up in `searchPath`.
    var command: String
    var arguments: [String]
    var environment: [String: String]
    var searchPath: String
    var installHint: String?
    /// Told to the plugin, where it asks for it.
    var cluster: JSONValue?
    /// The file and the field that name it.
    var place: String
    var timeout: Duration = .seconds(30)

    /// What the plugin is told.
    var executionInfo: JSONValue {
        var spec: JSONValue = ["interactive": false]
        if let cluster { spec["cluster"] = cluster }
        return ["apiVersion": .string(apiVersion), "kind": "ExecCredential", "spec": spec]
    }

    /// Runs the program and reads what it prints.
    ///
    /// - Throws: `.unauthorized` with a sentence for every way in which it can fail.
    func run() async throws(APIError) -> Issued {
        guard let path = resolvedPath else {
            throw failure("\(command) was not found in PATH", hint: true)
        }
        var variables = environment
        variables["KUBERNETES_EXEC_INFO"] = executionInfo.serializedText()
        let outcome = await ExecProcess.run(
            path, arguments, environment: variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            timeout: timeout, outputBytes: ExecPlugin.outputBytes)
        let last = outcome.lastErrorLine.isEmpty ? "" : ": \(outcome.lastErrorLine)"
        switch outcome.end {
        case .notStarted(let code):
            throw failure("\(path) cannot be started: \(Subprocess.text(ofError: code))", hint: code == ENOENT)
        case .timedOut: throw failure("\(command) did not end within \(timeout)\(last)")
        case .tooMuchOutput: throw failure("\(command) printed more than \(ExecPlugin.outputBytes) bytes")
        case .ended(.status(0)): return try issued(outcome.output)
        case .ended(let exit): throw failure("\(command) ended with \(exit)\(last)")
        }
    }

    /// Where the program lies; nil when it is in none of PATH's folders.
    private var resolvedPath: String? {
        if command.contains("/") { return command }
        // Relative folders in PATH are not searched, as in Go.
        return searchPath.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(command)" }
            .first { access($0, X_OK) == 0 }
    }

    /// Reads the plugin's output, which is never part of an error: it holds the credentials.
    func issued(_ output: [UInt8]) throws(APIError) -> Issued {
        guard let reply = try? JSONValue(parsing: output), case .object = reply else {
            throw failure("\(command) printed something else than JSON")
        }
        guard reply["kind"]?.stringValue == "ExecCredential" else {
            throw failure("\(command) printed no ExecCredential")
        }
        let version = reply["apiVersion"]?.stringValue ?? ""
        guard version == apiVersion else {
            throw failure("\(command) answers with apiVersion \"\(version)\", but \(apiVersion) is configured")
        }
        guard let status = reply["status"], case .object = status else {
            throw failure("\(command) printed no status")
        }
        let token = text(status, "token")
        let certificate = text(status, "clientCertificateData")
        let key = text(status, "clientKeyData")
        guard (certificate == nil) == (key == nil) else {
            throw failure("\(command) printed a client certificate without its key, or a key alone")
        }
        guard token != nil || certificate != nil else {
            throw failure("\(command) printed neither a token nor a client certificate")
        }
        var identity: TLSIdentity?
        if let certificate, let key {
            identity = TLSIdentity(certificate: .bytes(Array(certificate.utf8)), key: .bytes(Array(key.utf8)))
        }
        let expiry = text(status, "expirationTimestamp")
        let expiresAt = expiry.flatMap { Timestamp($0) }
        guard expiry == nil || expiresAt != nil else {
            throw failure("\(command) printed an expirationTimestamp that is no RFC 3339 time")
        }
        return Issued(
            credential: Credential(token: token.map { Secret($0) }, identity: identity), expiresAt: expiresAt)
    }

    private func text(_ status: JSONValue, _ key: String) -> String? {
        status[key]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func failure(_ message: String, hint: Bool = false) -> APIError {
        let advice = hint ? installHint.map { "; \($0)" } ?? "" : ""
        return APIError(.unauthorized, operation: "run the credential plugin", message: "\(place): \(message)\(advice)")
    }
}
