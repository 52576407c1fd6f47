import ControllerRuntime
import Encoding
import HTTP
import Kubernetes
import Operator
import System

/// Whether an operator works: a TrainingJob that only asks for its plan gets one. Nothing is bought by it.
struct InstallationCheck: Sendable {
    static let name = "trainyard-installation-check"

    let kubernetes: KubernetesClient
    let namespace: String
    let timeout: Duration

    /// What the plan says.
    ///
    /// - Throws: `.unavailable` when there is no plan in time, with what the object says instead; what the API server
    ///   refuses.
    func run(stop: StopRequest) async throws(APIError) -> String {
        // What a check left that was killed.
        try await remove(stop)
        try await kubernetes.create(TrainingJob.resourceType, Self.manifest(namespace: namespace))
        let result: Result<String, APIError>
        do throws(APIError) {
            result = .success(try await plan(stop))
        } catch {
            result = .failure(error)
        }
        try await remove(stop)
        return try result.get()
    }

    private static func manifest(namespace: String) -> JSONValue {
        [
            "apiVersion": .string(TrainingJob.resourceType.apiVersion), "kind": .string(TrainingJob.resourceType.kind),
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "spec": ["mode": "Plan", "accelerator": ["gpu": ["type": "nvidia-l4"]]],
        ]
    }

    private func plan(_ stop: StopRequest) async throws(APIError) -> String {
        var said = "the operator has not looked at it: is it ready? (kubectl -n \(namespace) get pods)"
        let found = try await poll(stop) { () async throws(APIError) -> String? in
            let job = try await kubernetes.find(TrainingJob.self, namespace: namespace, name: Self.name)
            guard let ready = job?.status?.conditions.first(ofType: "Ready") else { return nil }
            said = "\(ready.reason): \(ready.message)"
            guard ready.status == .true else { return nil }
            return "the operator works; a plan for one nvidia-l4: \(job?.status?.plan?.summary ?? ready.message)"
        }
        guard let found else {
            throw APIError(.unavailable, operation: "check-installation", message: "no plan within \(timeout); \(said)")
        }
        return found
    }

    private func remove(_ stop: StopRequest) async throws(APIError) {
        guard let job = try await kubernetes.find(TrainingJob.self, namespace: namespace, name: Self.name) else {
            return
        }
        let reference = ObjectReference(
            type: TrainingJob.resourceType, namespace: namespace, name: Self.name, uid: job.metadata.uid)
        do throws(APIError) {
            try await kubernetes.delete(reference)
        } catch  where error.code == .notFound {
            return
        }
        let isGone = try await poll(stop) { () async throws(APIError) -> Bool? in
            try await kubernetes.find(TrainingJob.self, namespace: namespace, name: Self.name) == nil ? true : nil
        }
        guard isGone == true else {
            throw APIError(
                .unavailable, operation: "check-installation",
                message:
                    "TrainingJob \(namespace)/\(Self.name) is still being deleted after \(timeout): no operator works")
        }
    }

    /// Asks every half second; nil after the timeout or when asked to stop.
    private func poll<Value: Sendable>(
        _ stop: StopRequest, _ look: () async throws(APIError) -> Value?
    ) async throws(APIError) -> Value? {
        let end = ContinuousClock.now + timeout
        while !stop.isRequested {
            if let value = try await look() { return value }
            guard ContinuousClock.now < end else { return nil }
            try? await Task.sleep(for: .milliseconds(500))  // Never cancelled: nothing else ends this task.
        }
        return nil
    }
}
