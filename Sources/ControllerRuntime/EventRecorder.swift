import Encoding
import HTTP
import Kubernetes
import Synchronization

/// Sends events beside the rounds, one after the other. They are for people: one that cannot be sent is lost and
/// reported, and nothing else fails or waits for it.
final class EventRecorder: Sendable {
    private typealias Command = EventAggregator.Command

    private struct State {
        var aggregator: EventAggregator
        var waiting: [Command] = []
        var isFinished = false
    }

    /// More would be told to nobody in time.
    static let maximumWaiting = 1000
    static let requestTimeout: Duration = .seconds(10)
    static let tryCount = 3

    private let environment: RuntimeEnvironment
    private let state: Mutex<State>
    private let wake = WakeSignal()

    init(environment: RuntimeEnvironment, reportingInstance: String) {
        self.environment = environment
        self.state = Mutex(
            State(
                aggregator: EventAggregator(
                    reportingController: "trainyard.dev/operator", reportingInstance: reportingInstance)))
    }

    /// Puts events in line; returns at once.
    func record<Object: CustomResource>(_ events: [Event], about object: Object) {
        for event in events { record(event, regarding: .init(object)) }
    }

    func record(_ event: Event, regarding: EventObject.Reference) {
        let (now, uptime) = (environment.clock.now, environment.clock.uptime)
        let drop: EventDrop? = state.withLock { state in
            switch state.aggregator.record(event, regarding: regarding, now: now, uptime: uptime) {
            case .counted: return nil
            case .spam: return .spam
            case .send(let command):
                guard state.waiting.count < Self.maximumWaiting else { return .overflow }
                state.waiting.append(command)
                return nil
            }
        }
        if let drop { environment.report(.eventsDropped(drop, count: 1)) }
        wake.raise()
    }

    /// Before each `run`, and in order with `finish`: a `run` that begins after its `finish` must end all the same.
    func begin() { state.withLock { $0.isFinished = false } }

    /// Sends until `finish` was called and nothing waits, or the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            if let command = takeFirst() {
                await deliver(command, tries: state.withLock(\.isFinished) ? 1 : Self.tryCount)
            } else if state.withLock(\.isFinished) {
                return
            } else {
                await wake.wait()
            }
        }
        let count = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting.count
        }
        if count > 0 { environment.report(.eventsDropped(.stopped, count: count)) }
    }

    /// `run` ends when everything is sent.
    func finish() {
        state.withLock { $0.isFinished = true }
        wake.raise()
    }

    /// Sends what waits, in this task, each once: for tests that step the rounds.
    func flush() async {
        while let command = takeFirst() { await deliver(command, tries: 1) }
    }

    private func takeFirst() -> Command? {
        state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
    }

    private func deliver(_ command: Command, tries: Int) async {
        var backoff = Backoff(initial: .seconds(2), maximum: .seconds(30))
        for attempt in 1...max(1, tries) {
            do throws(APIError) {
                return try await send(command)
            } catch {
                guard error.isTransient, attempt < tries else {
                    environment.report(.eventLost(error))
                    return
                }
                let pause = max(backoff.next(random: environment.random()), error.retryAfter ?? .zero)
                guard (try? await environment.clock.sleep(for: pause)) != nil else {  // Only cancellation throws.
                    environment.report(.eventLost(error))
                    return
                }
            }
        }
    }

    private func send(_ command: Command) async throws(APIError) {
        let manager = environment.client.fieldManager
        switch command {
        case .create(let event):
            do throws(APIError) {
                try await send(
                    .create(EventObject.resourceType, try encoded(event), fieldManager: manager))
            } catch  where error.code == .alreadyExists {
                return  // The reply to an earlier try was lost.
            }
        case .updateSeries(let event):
            let series: JSONValue = try encoded(event)["series"] ?? .null
            do throws(APIError) {
                try await send(.mergePatch(ObjectReference(event), ["series": series], fieldManager: manager))
            } catch  where error.code == .notFound {
                try await send(.create(event))  // The server keeps events for an hour.
            }
        }
    }

    private func send(_ request: KubernetesRequest) async throws(APIError) {
        var request = request
        request.timeout = Self.requestTimeout
        _ = try await environment.client.send(request)
    }

    private func encoded(_ event: EventObject) throws(APIError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(encoding: event)
        } catch {
            throw APIError(.invalid, operation: "POST events", message: error.message)
        }
    }
}

extension EventObject.Reference {
    init<Object: CustomResource>(_ object: Object) {
        self.init(
            apiVersion: Object.resourceType.apiVersion, kind: Object.resourceType.kind,
            namespace: object.metadata.namespace, name: object.metadata.name, uid: object.metadata.uid)
    }
}
