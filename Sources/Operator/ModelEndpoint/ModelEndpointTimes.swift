import ControllerRuntime
import Encoding
import Kubernetes

/// When an object is looked at again although nothing changes: a window opens or closes, money is counted.
enum ModelEndpointTimes {
    static func next(
        _ next: ModelEndpointDecision.Next, _ status: ModelEndpoint.Status, _ observation: ModelEndpointObservation
    ) -> ModelEndpointDecision.Next {
        guard observation.spec.mode == .apply, !observation.endpoint.metadata.isDeleting else { return next }
        let moments = [
            ModelEndpointWindows.nextChange(observation), ModelEndpointBudget.nextLook(status, observation),
        ].compactMap { $0 }
        guard let first = moments.min() else { return next }
        let pause = max(.seconds(1), first - observation.now)
        switch next {
        case .whenChanged: return .after(pause)
        case .after(let other): return .after(min(other, pause))
        case .finalized: return next
        }
    }
}
