import Encoding
import HTTP
import Kubernetes
import Synchronization

/// Sends events. They are for people: one that cannot be sent is lost and reported, and nothing else fails for it.
final class EventRecorder: Sendable {
    private let environment: RuntimeEnvironment
    private let aggregator: Mutex<EventAggregator>

    init(environment: RuntimeEnvironment, reportingInstance: String) {
        self.environment = environment
        self.aggregator = Mutex(
            EventAggregator(
                reportingController: "trainyard.dev/operator", reportingInstance: reportingInstance))
    }

    func record<Object: CustomResource>(_ events: [Event], about object: Object) async {
        let regarding = EventObject.Reference(
            apiVersion: Object.resourceType.apiVersion, kind: Object.resourceType.kind,
            namespace: object.metadata.namespace, name: object.metadata.name, uid: object.metadata.uid)
        for event in events {
            let now = environment.clock.now
            guard let command = aggregator.withLock({ $0.record(event, regarding: regarding, now: now) }) else {
                continue
            }
            do throws(APIError) {
                try await send(command)
            } catch {
                environment.report(.eventLost(error))
            }
        }
    }

    private func send(_ command: EventAggregator.Command) async throws(APIError) {
        switch command {
        case .create(let event):
            do throws(APIError) {
                try await environment.client.create(EventObject.resourceType, try encoded(event))
            } catch  where error.code == .alreadyExists {
                return  // The reply to an earlier try was lost.
            }
        case .updateSeries(let event):
            let series: JSONValue = try encoded(event)["series"] ?? .null
            do throws(APIError) {
                try await environment.client.mergePatch(ObjectReference(event), ["series": series])
            } catch  where error.code == .notFound {
                try await send(.create(event))  // The server keeps events for an hour.
            }
        }
    }

    private func encoded(_ event: EventObject) throws(APIError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(encoding: event)
        } catch {
            throw APIError(.invalid, operation: "POST events", message: error.message)
        }
    }
}
