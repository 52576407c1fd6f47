import Encoding
import HTTP
import Kubernetes
import Operator
import Synchronization

/// Every state of one TrainingJob, in order, as the API server's watch sends them.
final class JobWatch: Sendable {
    /// What a slow reader may fall behind; then the oldest are dropped (the latest state says it all).
    private static let bufferLimit = 256

    private struct State {
        var pending: [JobView] = []
        var isDeleted = false
        var failure: APIError?
    }

    private let kubernetes: KubernetesClient
    private let namespace: String
    private let name: String
    private let state = Mutex(State())

    init(kubernetes: KubernetesClient, namespace: String, name: String) {
        self.kubernetes = kubernetes
        self.namespace = namespace
        self.name = name
    }

    /// The states since the last call, oldest first.
    func take() -> [JobView] {
        state.withLock { state in
            defer { state.pending = [] }
            return state.pending
        }
    }

    /// Whether somebody deleted the job.
    var isDeleted: Bool { state.withLock { $0.isDeleted } }

    /// Why the API server could not be read last, while it cannot.
    var failure: APIError? { state.withLock { $0.failure } }

    /// Watches until the task is cancelled; a broken watch is opened again.
    func run() async {
        while !Task.isCancelled {
            do throws(APIError) {
                try await listAndWatch()
            } catch {
                state.withLock { $0.failure = error }
            }
            await Pause.milliseconds(200)
        }
    }

    private func listAndWatch() async throws(APIError) {
        let selection = ObjectSelection(namespace: namespace, fieldSelector: "metadata.name=\(name)")
        let list = try await kubernetes.list(TrainingJob.resourceType, selection)
        list.items.first.map(put)
        state.withLock { $0.failure = nil }
        var watch = try await kubernetes.watch(TrainingJob.resourceType, selection, from: list.resourceVersion)
        defer { watch.cancel() }
        while let event = try await watch.next() {
            switch event {
            case .added(let object), .modified(let object): put(object.value)
            case .deleted: state.withLock { $0.isDeleted = true }
            case .bookmark: break
            case .error(let error): throw error
            }
        }
    }

    private func put(_ object: JSONValue) {
        let view = JobView(object)
        state.withLock { state in
            if state.pending.count >= Self.bufferLimit { state.pending.removeFirst() }
            state.pending.append(view)
        }
    }
}
