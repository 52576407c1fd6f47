import Kubernetes
import Telemetry
import Testing

@testable import ControllerRuntime
@testable import Operator

/// What alerts count.
@Suite struct ModelEndpointMetricsTests {
    private func endpoint(_ name: String, isDeleting: Bool = false, _ conditions: [String]) -> ModelEndpoint {
        var status = ModelEndpoint.Status()
        status.conditions = conditions.map { text in
            let parts = text.split(separator: "/").map(String.init)
            return Condition(
                type: parts[0], status: parts[1] == "True" ? .true : .false, reason: parts[2], message: "",
                lastTransitionTime: Endpoints.now, observedGeneration: 1)
        }
        var endpoint = Endpoints.endpoint(status: status, isDeleting: isDeleting)
        endpoint.metadata.name = name
        return endpoint
    }

    @Test func `every endpoint is counted once, where it stands`() {
        let registry = MetricsRegistry()
        let cache = ObjectCache()
        ModelEndpointMetrics.register(registry, cache: cache)
        let serving = ["Available/True/Serving", "Ready/True/Serving"]
        cache.store(ModelEndpoint.self).replace(
            with: [
                endpoint("a", serving), endpoint("b", serving), endpoint("c", isDeleting: true, serving),
                endpoint("d", ["Available/True/Serving", "Ready/False/RollingOut", "Reconciling/True/RollingOut"]),
                endpoint("e", ["Available/True/Serving", "Ready/False/RolledBack", "Stalled/True/RolledBack"]),
                endpoint("f", ["Available/False/BudgetExceeded", "Ready/False/BudgetExceeded"]),
                endpoint("g", ["Available/False/NotServing", "Ready/False/Deploying"]), endpoint("h", []),
                endpoint("i", ["Available/False/Suspended", "Ready/True/Suspended"]),
                endpoint("j", ["Available/False/NotServing", "Ready/True/Planned"]),
            ], resourceVersion: "1")
        let lines = registry.text.split(separator: "\n").filter { $0.hasPrefix("trainyard_model_endpoints{") }
        #expect(
            Set(lines.map { $0.dropFirst("trainyard_model_endpoints{state=".count) }) == [
                "\"Serving\"} 2", "\"Progressing\"} 1", "\"Stalled\"} 1", "\"OverBudget\"} 1", "\"NotServing\"} 2",
                "\"Suspended\"} 1", "\"Planned\"} 1", "\"Deleting\"} 1",
            ])
    }
}
