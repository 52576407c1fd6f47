internal import Encoding
internal import Glibc
internal import HTTP
internal import Synchronization

/// What looks at every request before a simulated cloud answers it. A request with a finding is refused with 400, so
/// that its sender cannot go on as if nothing were wrong.
public struct RequestInspection: Sendable {
    public var checker: DiscoveryChecker
    public var log: RequestLog?
    /// Is told every refused request and what is wrong with it, in a sentence.
    public var report: @Sendable (_ finding: String) -> Void

    public init(checker: DiscoveryChecker, log: RequestLog? = nil, report: @escaping @Sendable (String) -> Void) {
        self.checker = checker
        self.log = log
        self.report = report
    }

    /// What is wrong with a request; nil when it is not for a described API.
    func findings(_ request: HTTPRequest) -> [String]? {
        guard let verdict = checker.check(request) else { return nil }
        if let document = verdict.document { log?.append(request, document: document) }
        if !verdict.findings.isEmpty {
            report("\(request.method.rawValue) \(request.url): \(verdict.findings.joined(separator: "; "))")
        }
        return verdict.findings
    }
}

/// A file with one line for every different request: `DOCUMENT VERB PATH?QUERY BODY`, the body as JSON or absent. A
/// second checker reads it. Several processes may append to one file.
public final class RequestLog: Sendable {
    /// Different requests are remembered up to this many; further ones are written again.
    private static let rememberedLimit = 1_000_000

    private let descriptor: Int32
    private let seen = Mutex<Set<UInt64>>([])

    /// - Throws: `.storage` when the file cannot be opened.
    public init(path: String) throws(SandboxError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SandboxError(.storage, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    func append(_ request: HTTPRequest, document: String) {
        var line = "\(document) \(request.method.rawValue) \(request.url.target)"
        // Bytes of an upload are no JSON; a body that should be some and is not has its finding already.
        if let value = DiscoveryChecker.jsonBody(of: request) { line += " " + value.serializedText() }
        line += "\n"
        let hash = StableHash.fnv1a(line)
        let isNew = seen.withLock { $0.count >= RequestLog.rememberedLimit || $0.insert(hash).inserted }
        guard isNew else { return }
        let bytes = Array(line.utf8)
        // One write is one line, whoever else appends. A full disk loses lines and nothing else.
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }
}
