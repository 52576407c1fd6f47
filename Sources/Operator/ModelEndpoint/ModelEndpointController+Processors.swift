import GoogleCloud
import HTTP
import Kubernetes

/// The services before and after the predictor.
extension ModelEndpointController {
    /// From what was really created, and what the spec has.
    func observeProcessors(_ observation: inout ModelEndpointObservation) async throws(APIError) {
        let isDeleting = observation.endpoint.metadata.isDeleting
        let resources = observation.status.resources
        for role in ModelEndpointProcessors.roles(observation.spec, resources) {
            let entry = resources.first { $0.role == role.rawValue }
            let place = entry.flatMap { ModelEndpointService.place(of: $0.externalRef) }
            // Deleted is what the ledger names.
            if isDeleting, place == nil { continue }
            let id = place?.id ?? ModelEndpointProcessors.id(role, observation)
            let location = place?.location ?? ModelEndpointService.location(observation)
            var processor = ProcessorObservation(role: role, service: try await service(id, in: location))
            if case .found(let service) = processor.service, !isDeleting, service.deleteTime == nil,
                observation.owns(service)
            {
                processor.policy = try await run.policy(ofService: id, in: location)
            }
            observation.processors.append(processor)
        }
    }

    /// The live object decides: one that it wants is not deleted.
    func delete(
        _ role: ProcessorRole, _ id: String, _ location: LocationName, _ owner: ObjectReference
    ) async throws(APIError) {
        let live = try await kubernetes.find(ModelEndpoint.self, namespace: owner.namespace, name: owner.name)
        guard let live, live.metadata.uid == owner.uid else { throw changed("the object is another one") }
        let goesWithIt = live.metadata.isDeleting && live.spec.deletionPolicy == .delete
        let isWanted = ModelEndpointProcessors.wanted(live.spec).contains { $0.role == role }
        guard goesWithIt || !live.metadata.isDeleting && !isWanted else {
            throw changed("the \(role.word) is wanted again")
        }
        try await deleteOurs(id, location, owner)
    }
}
