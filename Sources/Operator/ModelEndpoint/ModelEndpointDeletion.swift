import ControllerRuntime
import Encoding
import GoogleCloud
import Kubernetes

/// The end of an object: its service goes with it, unless the user wants it to stay.
enum ModelEndpointDeletion {
    typealias Observation = ModelEndpointObservation
    typealias Decision = ModelEndpointDecision

    /// Rule `deleting`: works when nothing was ever created, and from what was really created.
    static func deleting(_ observation: Observation) -> Decision? {
        guard observation.endpoint.metadata.isDeleting else { return nil }
        if observation.spec.deletionPolicy == .orphan { return finalized(observation) }
        switch observation.service {
        case .notLooked: return finalized(observation)
        case .absent: return absent(observation)
        case .found(let service):
            if service.deleteTime != nil {
                return ModelEndpointRollout.poll(observation, .deleting("waiting until \(service.name) is gone"))
            }
            guard observation.ownService != nil,
                let place = observation.status.resources.lazy.compactMap({
                    ModelEndpointService.place(of: $0.externalRef)
                }).first
            else { return finalized(observation) }
            return Decision(
                steps: [.cloud(.deleteService(place.id, in: place.location, owner: observation.owner))],
                status: observation.status, situation: .deleting("deleting the service \(service.name)"),
                next: .after(observation.configuration.pollInterval))
        }
    }

    /// A create whose reply was lost may still be on its way.
    private static func absent(_ observation: Observation) -> Decision {
        let intent = observation.status.resources.filter { $0.state == CloudResource.intent }
            .compactMap(\.intentTime).max()
        let situation = ModelEndpointSituation.deleting("waiting whether the service still appears")
        guard let intent else { return finalized(observation) }
        if intent > observation.now {
            // From a clock that was set back since: its age counts from now.
            var status = observation.status
            for index in status.resources.indices { status.resources[index].intentTime = observation.moment }
            return .record(status, situation)
        }
        guard observation.now - intent >= observation.configuration.createGrace else {
            return Decision(
                status: observation.status, situation: situation, next: .after(observation.configuration.createGrace))
        }
        return finalized(observation)
    }

    private static func finalized(_ observation: Observation) -> Decision {
        var status = observation.status
        status.resources = []
        return Decision(status: status, situation: .deleting("nothing of ours is left"), next: .finalized)
    }
}
