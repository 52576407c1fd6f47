import Encoding
import HTTP
import Kubernetes
import Operator

/// What an installation needs, looked at from outside: as the user, with nothing but reads.
struct Doctor: Sendable {
    enum Verdict: String, Sendable, Equatable {
        case good = "ok"
        case warning = "look"
        case bad = "BAD"
        /// Nobody could be asked.
        case unknown = "?"
    }

    struct Finding: Sendable, Equatable {
        var verdict: Verdict
        var subject: String
        var detail: String
    }

    static let kinds = [TrainingJob.resourceType, GCSArtifact.resourceType, ModelEndpoint.resourceType]
    private static let crdType = ResourceType(
        group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions", isNamespaced: false)
    private static let leaseType = ResourceType(
        group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases")
    private static let deploymentType = ResourceType(
        group: "apps", version: "v1", kind: "Deployment", plural: "deployments")
    private static let reviewType = ResourceType(
        group: "authorization.k8s.io", version: "v1", kind: "SelfSubjectAccessReview",
        plural: "selfsubjectaccessreviews",
        isNamespaced: false)

    let access: ClusterAccess
    /// As this program has them.
    let definitions: [JSONValue]
    let now: Timestamp

    /// All findings; an unreachable cluster is the only one then.
    func findings() async -> [Finding] {
        let cluster = await reachable()
        guard cluster.verdict != .bad else { return [cluster] }
        var findings = [cluster]
        for kind in Self.kinds { findings.append(await definition(of: kind)) }
        for kind in Self.kinds { findings.append(await rights(for: kind)) }
        findings.append(await deployment())
        findings.append(await lease())
        for kind in Self.kinds { findings += await objects(of: kind) }
        return findings
    }

    /// Any authenticated user may ask what it may do.
    private func reachable() async -> Finding {
        do throws(APIError) {
            _ = try await isAllowed("get", Self.kinds[0])
            return Finding(verdict: .good, subject: "cluster", detail: access.origin)
        } catch {
            return Finding(verdict: .bad, subject: "cluster", detail: "\(access.origin): \(error.message)")
        }
    }

    // MARK: Definitions

    private func definition(of kind: ResourceType) async -> Finding {
        let subject = "definition of \(kind.kind)"
        do throws(APIError) {
            guard let found = try await access.kubernetes.find(Self.crdType, namespace: nil, name: kind.name) else {
                return Finding(
                    verdict: .bad, subject: subject, detail: "not there: install the chart, or kubectl apply -f crds/")
            }
            return judged(found, kind, subject)
        } catch {
            return Self.unasked(error, subject)
        }
    }

    private func judged(_ found: JSONValue, _ kind: ResourceType, _ subject: String) -> Finding {
        let conditions = Facts(found).list("status", "conditions")
        guard conditions.contains(where: { $0.text("type") == "Established" && $0.text("status") == "True" }) else {
            return Finding(verdict: .bad, subject: subject, detail: "there, but not established")
        }
        if Facts(found).text("metadata", "deletionTimestamp") != nil {
            return Finding(verdict: .bad, subject: subject, detail: "being deleted, and all its objects with it")
        }
        let own = definitions.first { $0.value(at: ["metadata", "name"])?.stringValue == kind.name }
        let missing = Self.missingFields(of: Self.schema(own), in: Self.schema(found))
        guard missing.isEmpty else {
            let names = missing.prefix(3).joined(separator: ", ")
            return Finding(
                verdict: .warning, subject: subject,
                detail: "older than this program: lacks \(names)"
                    + (missing.count > 3 ? " and \(missing.count - 3) more" : ""))
        }
        return Finding(verdict: .good, subject: subject, detail: "has all fields that this program knows")
    }

    private static func schema(_ definition: JSONValue?) -> JSONValue? {
        definition?.value(at: ["spec", "versions"])?[0]?.value(at: ["schema", "openAPIV3Schema"])
    }

    /// Paths of properties that one schema has and another has not, sorted.
    static func missingFields(of own: JSONValue?, in other: JSONValue?, path: String = "") -> [String] {
        guard case .object(let properties)? = own?["properties"] else {
            guard let items = own?["items"] else { return [] }
            return missingFields(of: items, in: other?["items"], path: path + "[]")
        }
        return properties.sorted { $0.key < $1.key }.flatMap { name, property -> [String] in
            let place = path.isEmpty ? name : "\(path).\(name)"
            guard let counterpart = other?["properties"]?[name] else { return [place] }
            return missingFields(of: property, in: counterpart, path: place)
        }
    }

    // MARK: Rights

    private func isAllowed(_ verb: String, _ kind: ResourceType) async throws(APIError) -> Bool {
        let review = try await access.kubernetes.create(
            Self.reviewType,
            [
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": [
                    "resourceAttributes": [
                        "verb": .string(verb), "group": .string(kind.group), "resource": .string(kind.plural),
                        "namespace": .string(access.namespace),
                    ]
                ],
            ])
        return review.value(at: ["status", "allowed"]) == .bool(true)
    }

    private func rights(for kind: ResourceType) async -> Finding {
        let subject = "your rights on \(kind.plural) in \(access.namespace)"
        var missing: [String] = []
        do throws(APIError) {
            for verb in ["get", "list", "create", "patch", "delete"] {
                if try await !isAllowed(verb, kind) { missing.append(verb) }
            }
        } catch {
            return Self.unasked(error, subject)
        }
        guard !missing.isEmpty else { return Finding(verdict: .good, subject: subject, detail: "read and write") }
        let isReader = !missing.contains("get") && !missing.contains("list")
        return Finding(
            verdict: isReader ? .warning : .bad, subject: subject,
            detail: "you may not \(missing.joined(separator: ", ")) (ClusterRole trainyard-editor, or -viewer to look)")
    }

    // MARK: The operator

    private func deployment() async -> Finding {
        let subject = "operator"
        do throws(APIError) {
            let found = try await access.kubernetes.list(
                Self.deploymentType, ObjectSelection(labelSelector: "app.kubernetes.io/name=trainyard")
            ).items.map(Facts.init)
            guard let first = found.first else {
                return Finding(
                    verdict: .warning, subject: subject,
                    detail: "no Deployment has the label app.kubernetes.io/name=trainyard; is it installed otherwise?")
            }
            let place = "\(first.text("metadata", "namespace") ?? "")/\(first.text("metadata", "name") ?? "")"
            let ready = first.number("status", "readyReplicas") ?? 0
            let wanted = first.number("spec", "replicas") ?? 1
            if found.count > 1 {
                return Finding(
                    verdict: .warning, subject: subject,
                    detail: "\(found.count) Deployments: two operators in one cluster are kept apart by the lease only "
                        + "where they share its namespace")
            }
            // Replicas without the lease are ready too.
            return Finding(
                verdict: ready == 0 ? .bad : ready < wanted ? .warning : .good, subject: subject,
                detail: "\(place), \(ready) of \(wanted) replicas ready"
                    + (ready < wanted ? "; /readyz of a replica says what is missing" : ""))
        } catch {
            return Self.unasked(error, subject)
        }
    }

    private func lease() async -> Finding {
        let subject = "leader"
        do throws(APIError) {
            let leases = try await access.kubernetes.list(Self.leaseType).items.map(Facts.init)
                .filter { $0.text("metadata", "name") == "trainyard-operator" }
            guard let lease = leases.first else {
                return Finding(verdict: .bad, subject: subject, detail: "no replica has ever held the lease")
            }
            let holder = lease.text("spec", "holderIdentity") ?? ""
            let age = lease.time("spec", "renewTime").map { Int((now - $0).components.seconds) } ?? .max
            guard !holder.isEmpty, age <= 60 else {
                let since = age == .max ? "" : ", not renewed for \(Format.span(seconds: age))"
                return Finding(verdict: .bad, subject: subject, detail: "nobody holds the lease\(since)")
            }
            return Finding(
                verdict: .good, subject: subject,
                detail: "\(holder) in \(lease.text("metadata", "namespace") ?? ""), renewed \(max(0, age)) s ago")
        } catch {
            return Self.unasked(error, subject)
        }
    }

    // MARK: Objects

    /// Those that wait for somebody, by reason.
    private func objects(of kind: ResourceType) async -> [Finding] {
        let subject = kind.plural
        do throws(APIError) {
            let found = try await access.kubernetes.list(kind).items.map(Facts.init)
            var stalled: [String: [String]] = [:]
            for object in found {
                guard let condition = object.condition("Stalled"), condition.text("status") == "True" else { continue }
                stalled[condition.text("reason") ?? "?", default: []].append(
                    "\(object.text("metadata", "namespace") ?? "")/\(object.text("metadata", "name") ?? "")")
            }
            guard !stalled.isEmpty else {
                return [
                    Finding(verdict: .good, subject: subject, detail: "\(found.count), none waits for somebody to act")
                ]
            }
            return stalled.sorted { $0.key < $1.key }.map { reason, names in
                let hint = StatusText.hint(kind.kind, reason).map { ". \($0)" } ?? ""
                let more = names.count > 3 ? " and \(names.count - 3) more" : ""
                return Finding(
                    verdict: .warning, subject: subject,
                    detail: "\(reason): \(names.sorted().prefix(3).joined(separator: ", "))\(more)\(hint)")
            }
        } catch {
            return [Self.unasked(error, subject)]
        }
    }

    private static func unasked(_ error: APIError, _ subject: String) -> Finding {
        switch error.code {
        case .forbidden: Finding(verdict: .unknown, subject: subject, detail: "you may not look: \(error.message)")
        case .notFound: Finding(verdict: .unknown, subject: subject, detail: "this cluster does not serve them")
        default: Finding(verdict: .bad, subject: subject, detail: error.description)
        }
    }
}
