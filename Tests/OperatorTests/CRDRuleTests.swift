import Encoding
import FoundationEssentials
import HTTP
import Kubernetes
import Sandbox
import Synchronization
import Testing

/// Every rule of the CRDs, tried on the simulated API server, and on a real one of at least version 1.30 where
/// `TRAINYARD_RULES_KUBECONFIG` names the kubeconfig of one that may be filled with namespaces.
@Suite struct CRDRuleTests {
    /// A server with the CRDs, and a namespace for each case.
    private struct Server {
        let client: KubernetesClient

        static let shared = Result { try Server.simulated() }
        private static let count = Mutex(0)

        private static func simulated() throws -> Server {
            let cluster = try SimulatedCluster(
                ClusterConfiguration(
                    crds: try definitions(),
                    users: ["admin": SimulatedUser(name: "admin", groups: ["system:masters"])],
                    clock: VirtualClock()))
            return Server(
                client: KubernetesClient(
                    transport: HandlerTransport(cluster), server: HTTPURL(origin: "http://127.0.0.1:1", path: "/"),
                    credentials: { () throws(APIError) in "admin" }))
        }

        /// - Returns: nil when none is given.
        static func real() async throws -> Server? {
            let environment = ProcessInfo.processInfo.environment
            guard let kubeconfig = environment["TRAINYARD_RULES_KUBECONFIG"] else { return nil }
            let connection = try ClusterConnection.find(kubeconfig: kubeconfig, environment: environment)
            let server = Server(client: try connection.client(userAgent: "rule-tests"))
            let type = ResourceType(
                group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
                plural: "customresourcedefinitions", isNamespaced: false)
            for definition in try definitions() {
                let answer = await server.result { () throws(APIError) in
                    try await server.client.create(type, definition)
                }
                if let message = answer.message, !message.contains("already exists") {
                    throw APIError(.invalid, operation: "POST customresourcedefinitions", message: message)
                }
            }
            // A definition is served a moment after it was accepted.
            for kind in [CRDRuleCases.job, CRDRuleCases.artifact, CRDRuleCases.endpoint] {
                let deadline = ContinuousClock.now + .seconds(60)
                while true {
                    let answer = await server.result { () throws(APIError) in
                        _ = try await server.client.listPage(kind)
                        return .null
                    }
                    guard let message = answer.message else { break }
                    guard ContinuousClock.now < deadline else {
                        throw APIError(.timeout, operation: "LIST \(kind.plural)", message: message)
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            return server
        }

        private static func definitions() throws -> [JSONValue] {
            try ["trainingjobs", "gcsartifacts", "modelendpoints"].flatMap { try Repository.yaml("crds/\($0).yaml") }
        }

        func makeNamespace() async throws -> String {
            let number = Server.count.withLock { count in
                count += 1
                return count
            }
            let name = "rules-\(number)-\(UInt32.random(in: 0 ... .max))"
            do throws(APIError) {
                try await client.create(
                    ResourceType(
                        group: "", version: "v1", kind: "Namespace", plural: "namespaces", isNamespaced: false),
                    ["metadata": ["name": .string(name)]])
            } catch {
                // A server of custom resources alone: namespaces are only names there.
                if error.code != .notFound { throw error }
            }
            return name
        }

        /// Why the case was refused; nil: it was not.
        func refusal(of row: CRDRuleCase) async throws -> String? {
            let namespace = try await makeNamespace()
            let base = try CRDRuleTests.base(row.kind, namespace: namespace)
            let first = CRDRuleTests.changed(base, row.isUpdate ? row.before : row.before + row.change)
            let created = await result { () throws(APIError) in try await client.create(row.kind, first) }
            guard row.isUpdate else { return created.message }
            guard case .stored(let object) = created else { return created.message.map { "before the update: \($0)" } }
            let written = await withStatus(object, row, namespace)
            guard case .stored(let current) = written else { return written.message.map { "before the update: \($0)" } }
            let changed = CRDRuleTests.changed(current, row.change)
            return await result { () throws(APIError) in try await client.update(row.kind, changed) }.message
        }

        private enum Answer {
            case stored(JSONValue)
            case refused(String)

            var message: String? { if case .refused(let message) = self { message } else { nil } }
        }

        private func result(_ call: () async throws(APIError) -> JSONValue) async -> Answer {
            do throws(APIError) {
                return .stored(try await call())
            } catch {
                return .refused(error.message)
            }
        }

        private func withStatus(_ object: JSONValue, _ row: CRDRuleCase, _ namespace: String) async -> Answer {
            guard let status = row.status else { return .stored(object) }
            let name = object.value(at: ["metadata", "name"])?.stringValue ?? ""
            let reference = ObjectReference(type: row.kind, namespace: namespace, name: name)
            return await result { () throws(APIError) in
                try await client.mergePatch(reference, ["status": status], subresource: "status")
            }
        }
    }

    @Test(arguments: CRDRuleCases.all)
    func `an object or a change is accepted, or refused with the field and a reason`(row: CRDRuleCase) async throws {
        let refusal = try await Server.shared.get().refusal(of: row)
        #expect(Self.agrees(refusal, row), "\(refusal ?? "accepted")")
    }

    @Test func `a real API server says the same`() async throws {
        guard let server = try await Server.real() else {
            print("skipped: TRAINYARD_RULES_KUBECONFIG names no kubeconfig of an API server of version 1.30 or later")
            return
        }
        for row in CRDRuleCases.all {
            let refusal = try await server.refusal(of: row)
            #expect(Self.agrees(refusal, row), "\(row.testDescription): \(refusal ?? "accepted")")
        }
    }

    private static func agrees(_ refusal: String?, _ row: CRDRuleCase) -> Bool {
        guard let wanted = row.refusal else { return refusal == nil }
        return refusal?.contains(wanted) ?? false
    }

    @Test func `every rule of the CRDs has an accepting and a refusing case`() throws {
        var missing: [String] = []
        for kind in [CRDRuleCases.job, CRDRuleCases.artifact, CRDRuleCases.endpoint] {
            for (rule, message) in try Self.rules(of: kind) {
                let cases = CRDRuleCases.all.filter { $0.kind == kind && $0.rule == rule }
                if !cases.contains(where: { $0.refusal == nil }) { missing.append("\(kind.kind) \(rule): accepting") }
                if !cases.contains(where: { $0.refusal.map(message.contains) ?? false }) {
                    missing.append("\(kind.kind) \(rule): refusing with \"\(message)\"")
                }
            }
            let known = Set(try Self.rules(of: kind).keys)
            missing += CRDRuleCases.all.filter { $0.kind == kind }.compactMap(\.rule).filter { !known.contains($0) }
        }
        #expect(missing == [])
    }

    @Test func `fields whose cases are left out are not in the CRDs`() throws {
        for (kind, path) in CRDRuleCases.absent {
            var node = try Self.schema(of: kind).value(at: ["properties", "spec"])
            for name in path { node = (node?["items"] ?? node)?.value(at: ["properties", name]) }
            #expect(node == nil, "\(kind.kind) has \(path) now: add its cases")
        }
    }

    // MARK: Helpers

    private static func schema(of kind: ResourceType) throws -> JSONValue {
        let crd = try #require(try Repository.yaml("crds/\(kind.plural).yaml").first)
        return try #require(crd.value(at: ["spec", "versions"])?[0]?.value(at: ["schema", "openAPIV3Schema"]))
    }

    /// The messages of a CRD's rules, by place and number.
    private static func rules(of kind: ResourceType) throws -> [String: String] {
        var rules: [String: String] = [:]
        collect(try schema(of: kind), "", &rules)
        return rules
    }

    private static func collect(_ schema: JSONValue, _ place: String, _ rules: inout [String: String]) {
        for (index, rule) in (schema["x-kubernetes-validations"]?.arrayValue ?? []).enumerated() {
            rules["\(place)#\(index)"] = rule["message"]?.stringValue ?? ""
        }
        for (name, property) in schema["properties"]?.objectValue ?? [:] {
            collect(property, place.isEmpty ? name : "\(place).\(name)", &rules)
        }
        if let items = schema["items"] { collect(items, "\(place)[]", &rules) }
        if let values = schema["additionalProperties"] { collect(values, "\(place){}", &rules) }
    }

    /// The example's TrainingJob, the artifact that receives its runs, and the example's ModelEndpoint.
    private static func base(_ kind: ResourceType, namespace: String) throws -> JSONValue {
        let example = kind == CRDRuleCases.endpoint ? "endpoint-canary" : "fashion-mnist"
        let documents = try Repository.yaml("crds/examples/\(example).yaml")
        var found = try #require(documents.last { $0["kind"]?.stringValue == kind.kind })
        found.set(.string(namespace), at: ["metadata", "namespace"])
        return found
    }

    private static func changed(_ object: JSONValue, _ changes: [CRDRuleCase.Change]) -> JSONValue {
        changes.reduce(object) { object, change in
            set(change.value, at: change.path.split(separator: ".").map(String.init)[...], in: object) ?? .null
        }
    }

    private static func set(_ value: JSONValue?, at path: ArraySlice<String>, in parent: JSONValue) -> JSONValue? {
        guard let first = path.first else { return value }
        let rest = path.dropFirst()
        if let index = Int(first), case .array(var elements) = parent, elements.indices.contains(index) {
            elements[index] = set(value, at: rest, in: elements[index]) ?? .null
            return .array(elements)
        }
        guard case .object(var members) = parent else { return parent }
        if let member = set(value, at: rest, in: members[first] ?? [:]) {
            members[first] = member
        } else {
            members.removeValue(forKey: first)
        }
        return .object(members)
    }
}
