import ControllerRuntime
import Encoding
import GoogleCloud
import HTTP
import Kubernetes
import Telemetry

extension GCSArtifactController {
    private static var secrets: ResourceType {
        ResourceType(group: "", version: "v1", kind: "Secret", plural: "secrets")
    }

    func observeSigning(_ observation: inout GCSArtifactObservation) {
        guard observation.spec.access?.signedURLs?.isEmpty == false, let uid = observation.artifact.metadata.uid else {
            return
        }
        observation.signing.issued = memory.issued(of: uid)
        let failure = memory.signingFailure(
            of: uid, every: GCSArtifactSignedURLs.retryInterval, now: clock.uptime)
        observation.signing.failure = failure?.obstacle
        observation.signing.isRetryDue = failure?.isDue == true
    }

    /// Signs, if the object, read live, still asks for it. What somebody must mend is remembered and told, as a condition.
    func sign(
        _ names: [String], below place: StorageURI, _ time: Timestamp, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(GCSArtifact.self, namespace: owner.namespace, name: owner.name)
        guard let live, let uid = live.metadata.uid, uid == owner.uid, !live.metadata.isDeleting else {
            throw changed("the object is gone")
        }
        let wanted = (live.spec.access?.signedURLs ?? []).filter { names.contains($0.name) }
        do throws(APIError) {
            for url in wanted {
                try await sign(url, place, time, live)
                let issued = GCSArtifact.Status.SignedURL(
                    name: url.name, secretName: url.secretName,
                    expirationTime: time + .seconds(url.expiresInSeconds),
                    target: GCSArtifactSignedURLs.target(url, place: place))
                memory.set(issued, named: url.name, of: uid)
            }
        } catch {
            guard let obstacle = Self.obstacle(error) else { throw error }
            memory.set(signingFailure: obstacle, of: uid, now: clock.uptime)
        }
    }

    /// nil for what passes by itself.
    private static func obstacle(_ error: APIError) -> VersionObstacle? {
        switch error.code {
        case .alreadyExists: VersionObstacle(reason: .secretNotOurs, message: error.message)
        case .forbidden:
            VersionObstacle(
                reason: .permissionDenied,
                message:
                    "\(error.message) (the operator needs roles/iam.serviceAccountTokenCreator on the account that "
                    + "signs, and the right to create and patch Secrets)")
        case .notFound, .invalid: VersionObstacle(reason: .signingFailed, message: error.message)
        default: nil
        }
    }

    private func sign(
        _ url: GCSArtifact.SignedURL, _ place: StorageURI, _ time: Timestamp, _ artifact: GCSArtifact
    ) async throws(APIError) {
        let namespace = artifact.metadata.namespace ?? ""
        let operation = "signing a URL"
        guard let signing, let account = try await signing.account(namespace) else {
            throw APIError(
                .invalid, operation: operation,
                message: "no service account signs for the namespace \(namespace): annotate it with "
                    + "\(TenantAccounts.annotation), or start the operator with --signing-account")
        }
        guard let object = place.appending(url.path) else {
            throw APIError(.invalid, operation: operation, message: "\(url.path) cannot be an object's name")
        }
        let request = try SignedURLRequest(
            url.method == .get ? .get : .put, object, as: account, at: time,
            lifetime: .seconds(url.expiresInSeconds))
        let signature = try await signing.client.signBlob(Array(request.stringToSign.utf8), as: account)
        try await write(request.url(signature: signature.bytes), until: request.expirationTime, url, artifact)
    }

    /// Into a Secret that is the artifact's: another one of that name is not touched. Nobody's Secrets are read.
    private func write(
        _ text: String, until end: Timestamp, _ url: GCSArtifact.SignedURL, _ artifact: GCSArtifact
    ) async throws(APIError) {
        let data: JSONValue = [
            "url": .string(Base64.encode(Array(text.utf8))),
            "expirationTime": .string(Base64.encode(Array(end.description.utf8))),
        ]
        let owner = artifact.metadata.ownerReference(to: GCSArtifact.resourceType)
        let reference: JSONValue = [
            "apiVersion": .string(owner.apiVersion), "kind": .string(owner.kind), "name": .string(owner.name),
            "uid": .string(owner.uid), "controller": true, "blockOwnerDeletion": true,
        ]
        let namespace = artifact.metadata.namespace ?? ""
        let body: JSONValue = [
            "metadata": [
                "name": .string(url.secretName), "namespace": .string(namespace), "ownerReferences": [reference],
            ],
            "type": "Opaque", "data": data,
        ]
        do throws(APIError) {
            try await kubernetes.create(Self.secrets, body)
        } catch  where error.code == .alreadyExists {
            let secret = ObjectReference(type: Self.secrets, namespace: namespace, name: url.secretName)
            try await replace(data, of: secret, ownerUID: owner.uid)
        }
    }

    private func replace(
        _ data: JSONValue, of secret: ObjectReference, ownerUID: String
    ) async throws(APIError) {
        do throws(APIError) {
            try await kubernetes.jsonPatch(
                secret,
                [
                    .init(op: .test, path: "/metadata/ownerReferences/0/uid", value: .string(ownerUID)),
                    .init(op: .replace, path: "/data", value: data),
                ])
        } catch  where error.code == .invalid || error.code == .conflict {
            throw APIError(
                .alreadyExists, operation: "signing a URL",
                message: "the Secret \(secret.name) exists and is not this artifact's: name another one, or delete it")
        }
    }
}
