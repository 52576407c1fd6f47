internal import Encoding
internal import Synchronization

/// What tests ask about Cloud Run beside its API.
extension SimulatedCloud {
    /// The labels of a service by its short name; nil when there is none.
    public func runServiceLabels(_ id: String) -> [String: String]? {
        state.withLock { state in
            state.apis.run.services.values.first { $0.id == id }.map { service in
                (service.resource["labels"]?.objectValue ?? [:]).compactMapValues(\.stringValue)
            }
        }
    }

    /// The values of the label `trainyard-owner-uid` of all services.
    public func runServiceOwners() -> [String] {
        state.withLock { state in
            state.apis.run.services.values.compactMap {
                $0.resource.value(at: ["labels", "trainyard-owner-uid"])?.stringValue
            }.sorted()
        }
    }

    /// The value of a revision's annotation; nil when it has none.
    public func runRevisionAnnotation(_ key: String, of revision: String) -> String? {
        state.withLock { state in
            state.apis.run.services.values.lazy.compactMap { $0.revision(revision) }.first?.template
                .value(at: ["annotations", key])?.stringValue
        }
    }

    /// A line for each service: name, revisions and the traffic that is asked for.
    public func runServiceLines() -> [String] {
        state.withLock { state in
            state.apis.run.services.values.map { service in
                let traffic = RunTraffic.targets(service.resource).map {
                    "\($0.revision ?? "latest")=\($0.percent)\($0.tag ?? "")"
                }
                return "\(service.id) \(service.revisions.map(\.name)) \(traffic) "
                    + (service.resource["scaling"] ?? .null).serializedText()
            }.sorted()
        }
    }
}
