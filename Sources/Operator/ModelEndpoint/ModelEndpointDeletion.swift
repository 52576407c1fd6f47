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
        if observation.spec.deletionPolicy == .orphan { return orphaning(observation) ?? finalized(observation) }
        switch observation.service {
        case .notLooked: return processors(observation)
        case .absent: return absent(observation)
        case .found(let service):
            if service.deleteTime != nil {
                return ModelEndpointRollout.poll(observation, .deleting("waiting until \(service.name) is gone"))
            }
            guard observation.ownService != nil,
                let place = place(observation.status)
            else { return processors(observation) }
            return Decision(
                steps: [.cloud(.deleteService(place.id, in: place.location, owner: observation.owner))],
                status: observation.status, situation: .deleting("deleting the service \(service.name)"),
                next: .after(observation.configuration.pollInterval))
        }
    }

    /// A create whose reply was lost may still be on its way.
    private static func absent(_ observation: Observation) -> Decision {
        let intent = observation.status.resources.filter { $0.state == CloudResource.intent && !isProcessor($0) }
            .compactMap(\.intentTime).max()
        let situation = ModelEndpointSituation.deleting("waiting whether the service still appears")
        guard let intent else { return processors(observation) }
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
        return processors(observation)
    }

    /// A service that is to stay says so, before nobody can any more: the sweep for leaks reads it.
    private static func orphaning(_ observation: Observation) -> Decision? {
        for service in ([observation.service] + observation.processors.map(\.service)) {
            guard case .found(let service) = service, service.deleteTime == nil, observation.owns(service),
                service.configuration.labels?[Ownership.onDeletionLabel] == Ownership.goesWithObject,
                let place = ModelEndpointService.place(of: "//run.googleapis.com/\(service.name)")
            else { continue }
            var change = RunServiceConfiguration()
            change.labels = ModelEndpointSettings.labels(observation)
            return Decision(
                steps: [
                    .cloud(
                        .patchService(
                            place.id, change, fields: ["labels"], etag: service.etag, in: place.location,
                            owner: observation.owner))
                ], status: observation.status, situation: .deleting("\(service.name) is marked as one that stays"),
                next: .after(observation.configuration.pollInterval))
        }
        return nil
    }

    /// What is before and after the predictor goes when the predictor is gone.
    private static func processors(_ observation: Observation) -> Decision {
        for processor in observation.processors {
            if let decision = ModelEndpointProcessors.remove(processor, observation, isDeleting: true) {
                return decision
            }
        }
        return finalized(observation)
    }

    static func isProcessor(_ entry: CloudResource) -> Bool {
        entry.role.flatMap { ProcessorRole(rawValue: $0) } != nil
    }

    /// Where the predictor's service is, as the ledger says.
    static func place(_ status: ModelEndpoint.Status) -> (id: String, location: LocationName)? {
        status.resources.lazy.filter { !isProcessor($0) }.compactMap {
            ModelEndpointService.place(of: $0.externalRef)
        }.first
    }

    private static func finalized(_ observation: Observation) -> Decision {
        var status = observation.status
        status.resources = []
        return Decision(status: status, situation: .deleting("nothing of ours is left"), next: .finalized)
    }
}
