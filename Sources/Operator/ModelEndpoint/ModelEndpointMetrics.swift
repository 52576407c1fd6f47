public import ControllerRuntime
import Kubernetes
public import Telemetry

/// How many endpoints stand where; read by alerts.
public enum ModelEndpointMetrics {
    /// Exactly one for each object.
    enum State: String, CaseIterable {
        /// What is wanted serves.
        case serving = "Serving"
        /// Something serves, and something newer is on its way.
        case progressing = "Progressing"
        /// Something serves, and nothing goes on until somebody acts.
        case stalled = "Stalled"
        case overBudget = "OverBudget"
        case notServing = "NotServing"
        case suspended = "Suspended"
        case planned = "Planned"
        case deleting = "Deleting"

        init(_ endpoint: ModelEndpoint) {
            let conditions = endpoint.status?.conditions ?? []
            func reason(_ type: String) -> String? { conditions.first(ofType: type)?.reason }
            let ready = reason("Ready").flatMap { ModelEndpointReason(rawValue: $0) }
            self =
                if endpoint.metadata.isDeleting {
                    .deleting
                } else if ready == .planned {
                    .planned
                } else if ready == .budgetExceeded {
                    .overBudget
                } else if reason("Available") == ModelEndpointReason.suspended.rawValue {
                    .suspended
                } else if !conditions.isTrue("Available") {
                    .notServing
                } else if conditions.isTrue("Stalled") {
                    .stalled
                } else {
                    conditions.isTrue("Ready") ? .serving : .progressing
                }
        }
    }

    /// Declares the metric, counted anew for each page from what the cache holds.
    public static func register(_ registry: MetricsRegistry, cache: ObjectCache) {
        let gauge = registry.gauge(
            "trainyard_model_endpoints", help: "ModelEndpoints by where they stand, as the leader sees them.",
            labels: [MetricLabel("state", State.allCases.map(\.rawValue))])
        let endpoints = cache.store(ModelEndpoint.self)
        registry.beforeEachPage {
            var counts: [State: Int] = [:]
            for endpoint in endpoints.objects() { counts[State(endpoint), default: 0] += 1 }
            for state in State.allCases { gauge.set(Double(counts[state] ?? 0), state.rawValue) }
        }
    }
}
