import ControllerRuntime
import Encoding
import GoogleCloud
public import HTTP
import Kubernetes
import Synchronization

extension TrainingJobController {
    public func perform(_ action: TrainingJobAction) async throws(APIError) {
        // Where changes of the cluster wait for one another, namespaces take turns.
        try await CallOwner.named(action.owner.namespace ?? "") { () async throws(APIError) in
            try await change(action)
        }
    }

    private func change(_ action: TrainingJobAction) async throws(APIError) {
        switch action {
        case .updateWorkload(let update): try await send(update)
        case .writeObject(let object): try await write(object)
        case .probe(let object): try await probe(object)
        case .createNodePool(let pool, let owner): try await create(pool, owner)
        case .setNodePoolSize(let name, let nodeCount, let owner):
            try await requireIntent(name, owner, "container.nodePools.setSize")
            guard let pool = try await livePool(name), isOurs(pool, owner), pool.status != .stopping else { return }
            defer { forgetLists() }
            do throws(APIError) {
                _ = try await container.setNodePoolSize(name, nodeCount: nodeCount, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
        case .deleteNodePool(let name, let owner):
            guard let pool = try await livePool(name), isOurs(pool, owner), pool.status != .stopping else { return }
            defer { forgetLists() }
            do throws(APIError) {
                _ = try await container.deleteNodePool(name, in: configuration.cluster)
            } catch  where error.code == .notFound {
                return
            }
        }
    }

    /// Gone, or another by now: the next observation says which.
    private func send(_ update: WorkloadUpdate) async throws(APIError) {
        let patch: JSONValue
        do throws(JSONError) {
            patch = try update.patch()
        } catch {
            throw APIError(.invalid, operation: "PATCH workloads/status", message: error.message)
        }
        do throws(APIError) {
            let stored = try await kubernetes.mergePatch(update.workload, patch, subresource: "status")
            if let workload = try? stored.decode(Workload.self) { workloads.put(workload, isOwnWrite: true) }
        } catch  where error.code == .notFound {
            return
        }
    }

    func livePool(_ name: String) async throws(APIError) -> NodePool? {
        do throws(APIError) {
            return try await container.nodePool(name, in: configuration.cluster)
        } catch  where error.code == .notFound {
            return nil
        }
    }

    private func isOurs(_ pool: NodePool, _ owner: ObjectReference) -> Bool {
        Ownership.isOurs(pool, ownerUID: owner.uid ?? "", clusterUID: configuration.clusterUID)
    }

    /// Something was changed: what was listed before is not true any more, whatever the reply says.
    private func forgetLists() {
        poolList.forget()
        operationList.forget()
    }

    /// Machines are bought only for an object that, read live, still has the intent and a run to go on with: a cache
    /// that is behind must not buy any.
    private func requireIntent(
        _ name: String, _ owner: ObjectReference, _ operation: String
    ) async throws(APIError) {
        let live = try await kubernetes.find(TrainingJob.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid, !live.metadata.isDeleting,
            let status = live.status, status.run != nil, status.run?.result == nil,
            status.resources.contains(where: { $0.name == name })
        else {
            throw APIError(.conflict, operation: operation, message: "the object no longer intends \(name)")
        }
    }

    /// Creates a pool for a live intent, and none in a namespace that is going: the object goes with it.
    private func create(_ pool: NodePool, _ owner: ObjectReference) async throws(APIError) {
        let operation = "container.nodePools.create"
        try await requireIntent(pool.name, owner, operation)
        try await kubernetes.requireLiving(namespace: owner.namespace, operation)
        defer { forgetLists() }
        do throws(APIError) {
            _ = try await container.createNodePool(pool, in: configuration.cluster)
        } catch {
            switch error.code {
            case .alreadyExists: return  // The next observation says whose it is.
            case .invalid, .quotaExceeded, .stockedOut: refuse(pool.name, error)
            default: throw error
            }
        }
    }

    /// - Parameter name: of a node pool, or the place of an object.
    func refuse(_ name: String, _ error: APIError) {
        let now = clock.now
        refusals.withLock { refusals in
            refusals = refusals.filter { now - $0.value.time < .seconds(3600) }
            refusals[name] = Refusal(error: error, time: now)
        }
    }
}
