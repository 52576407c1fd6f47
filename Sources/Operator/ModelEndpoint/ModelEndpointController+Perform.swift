import ControllerRuntime
import GoogleCloud
public import HTTP
import Kubernetes

extension ModelEndpointController {
    public func perform(_ action: ModelEndpointAction) async throws(APIError) {
        switch action {
        case .createService(let id, let configuration, let location, let owner):
            try await create(id, configuration, location, owner)
        case .patchService(let id, let configuration, let fields, let etag, let location, let owner):
            _ = try await requireOurs(id, location, owner)
            _ = try await run.patchService(id, configuration, etag: etag, updateMask: fields, in: location)
        case .adoptService(let id, let configuration, let etag, let location, let owner):
            try await adopt(id, configuration, etag, location, owner)
        case .setInvokers(let members, let managed, let id, let location, let owner):
            _ = try await requireOurs(id, location, owner)
            let policy = try await run.policy(ofService: id, in: location)
            let merged = ModelEndpointAccess.merged(policy, Set(members), managed: Set(managed))
            guard merged != policy else { return }
            _ = try await run.setPolicy(merged, ofService: id, in: location)
        case .deleteRevision(let revision, let id, let etag, let location, let owner):
            try await delete(revision: revision, of: id, etag: etag, location, owner)
        case .deleteService(let id, let location, let owner): try await delete(service: id, location, owner)
        case .deleteProcessor(let role, let id, let location, let owner):
            try await delete(role, id, location, owner)
        }
    }

    /// Creates the service if the object, read live, still has the intent: a cache that is behind must not create.
    private func create(
        _ id: String, _ configuration: RunServiceConfiguration, _ location: LocationName, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(ModelEndpoint.self, namespace: owner.namespace, name: owner.name)
        let reference = ModelEndpointService.reference(id, in: location)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            live.status?.resources.contains(where: { $0.externalRef == reference }) == true,
            // A processor's revisions have no name of ours.
            configuration.template?.revision == nil
                || live.status?.candidate?.revision == configuration.template?.revision
        else { throw changed("the object no longer intends \(id)") }
        try await kubernetes.requireLiving(namespace: owner.namespace, "run.services.create")
        do throws(APIError) {
            _ = try await run.createService(id, configuration, in: location)
        } catch  where error.code == .alreadyExists {
            return  // The next observation says whose it is.
        }
    }

    /// Labels a service that an earlier object left as this one's, if the object, read live, is there.
    private func adopt(
        _ id: String, _ configuration: RunServiceConfiguration, _ etag: String?, _ location: LocationName,
        _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(ModelEndpoint.self, namespace: owner.namespace, name: owner.name)
        let service = try await run.service(id, in: location)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            Ownership.isRetained(
                service.configuration.labels, for: owner, clusterUID: self.configuration.clusterUID)
        else { throw changed("the service \(id) is not to be taken back any more") }
        _ = try await run.patchService(id, configuration, etag: etag, updateMask: ["labels"], in: location)
    }

    /// The live service decides: a revision that gets requests is not deleted.
    private func delete(
        revision: String, of id: String, etag: String?, _ location: LocationName, _ owner: ObjectReference
    ) async throws(APIError) {
        let service = try await requireOurs(id, location, owner)
        let targets = (service.configuration.traffic ?? []).compactMap(\.revision)
        guard !targets.contains(revision) else { throw changed("\(revision) gets requests") }
        do throws(APIError) {
            _ = try await run.deleteRevision(revision, of: id, etag: etag, in: location)
        } catch  where error.code == .notFound {
            return
        }
    }

    private func delete(
        service id: String, _ location: LocationName, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(ModelEndpoint.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, live.metadata.isDeleting,
            live.spec.deletionPolicy == .delete
        else { throw changed("the object is not to be deleted any more") }
        try await deleteOurs(id, location, owner)
    }

    /// Deletes a service if it, read live, is ours.
    func deleteOurs(_ id: String, _ location: LocationName, _ owner: ObjectReference) async throws(APIError) {
        do throws(APIError) {
            let service = try await requireOurs(id, location, owner)
            guard service.deleteTime == nil else { return }
            _ = try await run.deleteService(id, etag: service.etag, in: location)
        } catch  where error.code == .notFound {
            return
        }
    }

    /// The service, read live, if it carries the object's labels.
    ///
    /// - Throws: `.conflict` when it does not: then everything is looked at again.
    private func requireOurs(
        _ id: String, _ location: LocationName, _ owner: ObjectReference
    ) async throws(APIError) -> RunService {
        let service = try await run.service(id, in: location)
        guard
            Ownership.isOurs(
                service.configuration.labels, ownerUID: owner.uid ?? "", clusterUID: configuration.clusterUID)
        else { throw changed("the service \(id) is not ours any more") }
        return service
    }

    func changed(_ message: String) -> APIError {
        APIError(.conflict, operation: "ModelEndpoint", message: message)
    }
}
