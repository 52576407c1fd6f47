internal import Encoding
public import HTTP

/// Compute Engine, read only: compute v1 at `https://compute.googleapis.com/compute/v1/`.
///
/// What a zone has, what a region's quotas allow, and why the machines of a node pool do not come. A `LocationName` is a
/// project and a zone here.
public struct ComputeClient: Sendable {
    private let client: GoogleCloudClient

    public init(_ client: GoogleCloudClient) {
        self.client = client
    }

    private func call(
        _ operation: String, _ method: HTTPMethod, _ path: [PathPart]
    ) throws(APIError) -> GoogleCall {
        try GoogleCall(
            "compute.\(operation)", method, origin: "https://compute.googleapis.com",
            path: ["compute", "v1", "projects"] + path)
    }

    private func list<Element: Decodable & Sendable>(
        _ call: GoogleCall, _ key: String = "items", limit: Int = 10_000
    ) async throws(APIError) -> Listing<Element> {
        try await client.list(call, limit: limit) { page throws(JSONError) in
            Listing(items: try page.elements(key), unreachable: page.computeUnreachable)
        }
    }

    // MARK: Places

    /// The zones that the project sees. Maps to `GET projects/P/zones`.
    public func zones(project: String) async throws(APIError) -> Listing<ComputeZone> {
        try await list(call("zones.list", .get, [.checked(.project, project), "zones"]))
    }

    /// A region and its quotas. Maps to `GET projects/P/regions/R`.
    ///
    /// - Throws: `.notFound`.
    public func region(_ name: String, project: String) async throws(APIError) -> ComputeRegion {
        try await client.value(
            call("regions.get", .get, [.checked(.project, project), "regions", .checked(.region, name)]))
    }

    // MARK: What a zone has

    /// Maps to `GET projects/P/zones/Z/machineTypes/M`.
    ///
    /// - Throws: `.notFound` when the zone has no such machines.
    public func machineType(_ name: String, in zone: LocationName) async throws(APIError) -> ComputeMachineType {
        try await client.value(
            call("machineTypes.get", .get, zone.computePath + ["machineTypes", .checked(.machineType, name)]))
    }

    /// Maps to `GET projects/P/zones/Z/machineTypes`.
    public func machineTypes(in zone: LocationName) async throws(APIError) -> Listing<ComputeMachineType> {
        try await list(call("machineTypes.list", .get, zone.computePath + ["machineTypes"]))
    }

    /// Maps to `GET projects/P/zones/Z/acceleratorTypes`.
    public func acceleratorTypes(in zone: LocationName) async throws(APIError) -> Listing<ComputeAcceleratorType> {
        try await list(call("acceleratorTypes.list", .get, zone.computePath + ["acceleratorTypes"]))
    }

    /// Of all zones. Maps to `GET projects/P/aggregated/acceleratorTypes`.
    public func acceleratorTypes(project: String) async throws(APIError) -> Listing<ComputeAcceleratorType> {
        let call = try call(
            "acceleratorTypes.aggregatedList", .get, [.checked(.project, project), "aggregated", "acceleratorTypes"])
        return try await client.list(call, limit: 10_000) { page throws(JSONError) in
            try page.scopes("acceleratorTypes")
        }
    }

    /// Maps to `GET projects/P/zones/Z/reservations`.
    public func reservations(in zone: LocationName) async throws(APIError) -> Listing<ComputeReservation> {
        try await list(call("reservations.list", .get, zone.computePath + ["reservations"]))
    }

    /// Maps to `GET projects/P/zones/Z/reservations/R`.
    ///
    /// - Throws: `.notFound`.
    public func reservation(_ name: String, in zone: LocationName) async throws(APIError) -> ComputeReservation {
        try await client.value(
            call("reservations.get", .get, zone.computePath + ["reservations", .checked(.reservation, name)]))
    }

    // MARK: Why machines do not come

    /// The machines behind a node pool. Maps to `GET projects/P/zones/Z/instanceGroupManagers/M`.
    ///
    /// - Throws: `.notFound` when the pool is gone.
    public func instanceGroup(_ name: InstanceGroupName) async throws(APIError) -> InstanceGroupManager {
        try await client.value(call("instanceGroupManagers.get", .get, name.path))
    }

    /// Each machine with what happens to it now, and its last error.
    /// Maps to `POST projects/P/zones/Z/instanceGroupManagers/M/listManagedInstances`.
    public func managedInstances(of name: InstanceGroupName) async throws(APIError) -> Listing<ManagedInstance> {
        try await list(
            call("instanceGroupManagers.listManagedInstances", .post, name.path + ["listManagedInstances"]),
            "managedInstances")
    }

    /// The recent errors, newest first. Maps to `GET projects/P/zones/Z/instanceGroupManagers/M/listErrors`.
    public func errors(of name: InstanceGroupName) async throws(APIError) -> Listing<ManagedInstanceError> {
        try await list(call("instanceGroupManagers.listErrors", .get, name.path + ["listErrors"]))
    }
}

extension LocationName {
    fileprivate var computePath: [PathPart] {
        [.checked(.project, project), "zones", .checked(.zone, location)]
    }
}

extension InstanceGroupName {
    fileprivate var path: [PathPart] {
        zone.computePath + ["instanceGroupManagers", .checked(.instanceGroup, name)]
    }
}

extension JSONValue {
    /// Warnings after which something may be missing; the others (an empty page, a deprecated thing) say nothing of it.
    private static let gaps: Set<String> = ["UNREACHABLE", "PARTIAL_SUCCESS", "LIST_OVERHEAD_QUOTA_EXCEED"]

    /// What a page or a scope says did not answer.
    fileprivate var computeUnreachable: [String] {
        let named = (self["unreachables"]?.arrayValue ?? []).map { $0.stringValue ?? "?" }
        guard let warning = self["warning"], let code = warning["code"]?.stringValue, Self.gaps.contains(code)
        else { return named }
        let scopes = (warning["data"]?.arrayValue ?? []).filter { $0["key"]?.stringValue == "scope" }
            .compactMap { $0["value"]?.stringValue }
        return named + (scopes.isEmpty && named.isEmpty ? [code] : scopes)
    }

    /// The entries of all scopes of a page of an aggregated list, in the scopes' order.
    fileprivate func scopes<Element: Decodable & Sendable>(_ key: String) throws(JSONError) -> Listing<Element> {
        var result = Listing<Element>(unreachable: computeUnreachable)
        for (name, scope) in (self["items"]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            result.items += try scope.elements(key) as [Element]
            if !scope.computeUnreachable.isEmpty { result.unreachable.append(name) }
        }
        return result
    }
}
