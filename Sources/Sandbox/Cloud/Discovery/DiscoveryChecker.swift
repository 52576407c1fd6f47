internal import Encoding
internal import Glibc
public import HTTP

/// Checks requests against Google's own descriptions of its APIs (discovery documents): unknown fields and query
/// parameters, wrong types, words and formats, output-only fields that are sent, required ones that are missing.
///
/// Stricter than the services: `node_pool` beside `nodePool`, fields that storage ignores, and what is deprecated are
/// findings too.
public struct DiscoveryChecker: Sendable {
    /// What came out for one request.
    public struct Verdict: Sendable, Hashable {
        /// `container.v1`; nil when no document has the host.
        public var document: String?
        /// The method's id; nil when there is none with such a path.
        public var method: String?
        /// Sentences, at most 20; none is good.
        public var findings: [String]
    }

    /// By name.
    private let documents: [String: DiscoveryDocument]
    private let namesByHost: [String: [String]]

    /// A folder is at most so many documents; one is at most 32 MiB.
    private static let documentLimit = 200
    private static let documentBytes = 32 << 20

    /// Reads all discovery documents (`*.json`) of a folder, whole or trimmed.
    ///
    /// - Throws: `.invalidConfiguration` when there is none, or one is no discovery document.
    public init(folder: String) throws(SandboxError) {
        var documents: [String: DiscoveryDocument] = [:]
        for file in try DiscoveryChecker.files(in: folder) {
            guard let bytes = LocalFiles.read("\(folder)/\(file)", limit: DiscoveryChecker.documentBytes),
                let value = try? JSONValue(parsing: bytes), let document = DiscoveryDocument(value)
            else { throw SandboxError(.invalidConfiguration, "\(folder)/\(file) is no discovery document") }
            documents[document.name] = document
        }
        self.documents = documents
        var names: [String: [String]] = [:]
        for document in documents.values {
            for host in document.hosts { names[host, default: []].append(document.name) }
        }
        namesByHost = names.mapValues { $0.sorted() }
    }

    private static func files(in folder: String) throws(SandboxError) -> [String] {
        guard let directory = opendir(folder) else {
            throw SandboxError(.invalidConfiguration, "the folder of discovery documents \(folder) cannot be read")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { buffer in
                String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".json"), name != "index.json" { names.append(name) }
        }
        guard !names.isEmpty, names.count <= documentLimit else {
            throw SandboxError(.invalidConfiguration, "\(folder) holds \(names.count) discovery documents")
        }
        return names.sorted()
    }

    /// The documents that were read, sorted.
    public var documentNames: [String] { documents.keys.sorted() }

    /// Checks a request as it is on the wire.
    ///
    /// - Returns: nil for what discovery does not describe: tokens, the metadata server and the further requests of an
    ///   upload session, whose addresses come from the service.
    public func check(_ request: HTTPRequest) -> Verdict? {
        let host = String(request.url.authority.prefix { $0 != ":" })
        guard DiscoveryChecker.isDescribed(host: host, request.url) else { return nil }
        let path = DiscoveryChecker.plain(path: request.url.path)
        guard let name = documentName(host: host, verb: request.method.rawValue, path: path) else {
            return Verdict(findings: ["no discovery document describes \(host)"])
        }
        let body: JSONValue?
        switch DiscoveryChecker.body(of: request) {
        case .success(let value): body = value
        case .failure(let fault): return Verdict(document: name, findings: [fault.sentence])
        }
        return check(
            document: name, verb: request.method.rawValue, path: path,
            query: request.url.query.map { ($0.name, $0.value) }, body: body)
    }

    /// Checks a call whose API is known.
    ///
    /// - Parameters:
    ///   - path: percent-encoded, with or without the leading slash.
    ///   - body: nil when there is none.
    func check(
        document name: String, verb: String, path: String, query: [(name: String, value: String)], body: JSONValue?
    ) -> Verdict {
        guard let document = documents[name] else { return Verdict(findings: ["there is no document \(name)"]) }
        let path = String(path.drop { $0 == "/" })
        guard let method = document.method(verb: verb, path: path)?.method else {
            return Verdict(document: name, findings: ["\(name) has no method \(verb) \(path)"])
        }
        var findings = DiscoveryFindings(document: document, method: method)
        findings.check(query: query)
        findings.check(body: body)
        return Verdict(document: name, method: method.id, findings: findings.sentences)
    }

    // MARK: Which API

    private static func isDescribed(host: String, _ url: HTTPURL) -> Bool {
        if ["oauth2.googleapis.com", "accounts.google.com"].contains(host) { return false }
        return !url.path.hasPrefix("/computeMetadata/") && url.queryValue("upload_id") == nil
    }

    /// Downloads have a path of their own that documents do not list.
    private static func plain(path: String) -> String {
        path.hasPrefix("/download/storage/") ? String(path.dropFirst("/download".count)) : path
    }

    /// A host may serve several versions, and a client may name an emulator by its address: then the path decides.
    private func documentName(host: String, verb: String, path: String) -> String? {
        let names = names(host: host, path: path)
        let path = String(path.drop { $0 == "/" })
        let best = names.compactMap { name in
            documents[name]?.method(verb: verb, path: path).map { (name: name, count: $0.literalCount) }
        }.max { $0.count < $1.count }
        return best?.name ?? names.first
    }

    private func names(host: String, path: String) -> [String] {
        if let names = namesByHost[host] { return names }
        if host.hasSuffix(".googleapis.com"), host != "www.googleapis.com" {
            // `us-central1-aiplatform.googleapis.com`
            let service = host.dropLast(".googleapis.com".count).split(separator: "-").last ?? ""
            return namesByHost["\(service).googleapis.com"] ?? []
        }
        let storage = ["/storage/v1", "/upload/storage/v1"]
        if storage.contains(where: path.hasPrefix) { return documents["storage.v1"] == nil ? [] : ["storage.v1"] }
        // Of two that match alike the first wins: container's paths are the sandbox's own.
        let first = documents["container.v1"] == nil ? [] : ["container.v1"]
        return first + documentNames.filter { $0 != "container.v1" }
    }

    // MARK: The body

    private struct Fault: Error { var sentence: String }

    /// The JSON that a request carries; nil when it carries none.
    static func jsonBody(of request: HTTPRequest) -> JSONValue? { try? body(of: request).get() }

    private static func body(of request: HTTPRequest) -> Result<JSONValue?, Fault> {
        let type = (request.headers["Content-Type"] ?? "").lowercased()
        let upload = request.url.path.hasPrefix("/upload/") ? request.url.queryValue("uploadType") : nil
        if upload == "media" || request.body.isEmpty { return .success(nil) }
        if type.hasPrefix("application/x-www-form-urlencoded") { return form(request.body) }
        var text = request.body[...]
        if upload == "multipart" {
            guard let parts = try? MultipartBody(contentType: request.headers["Content-Type"], body: request.body)
            else {
                return .failure(Fault(sentence: "the body is not multipart/related"))
            }
            text = parts.metadata
        }
        guard let value = try? JSONValue(parsing: text) else {
            return .failure(Fault(sentence: "the body is no JSON"))
        }
        return .success(value)
    }

    /// Token exchanges are sent as forms, with the words of OAuth: `grant_type` for `grantType`.
    private static func form(_ bytes: [UInt8]) -> Result<JSONValue?, Fault> {
        guard let items = HTTPURL.parseTarget("/?" + String(decoding: bytes, as: UTF8.self))?.query else {
            return .failure(Fault(sentence: "the body is no form"))
        }
        var value: JSONValue = [:]
        for item in items {
            let parts = item.name.split(separator: "_")
            let name = parts.prefix(1) + parts.dropFirst().map { $0.prefix(1).uppercased()[...] + $0.dropFirst() }
            value[name.joined()] = .string(item.value)
        }
        return .success(value)
    }
}
