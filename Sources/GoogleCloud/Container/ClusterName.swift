/// A GKE cluster: `projects/P/locations/L/clusters/C`. Its parts are safe to stand in a URL as they are.
public struct ClusterName: Sendable, Hashable, LosslessStringConvertible {
    public let project: String
    /// A region or a zone.
    public let location: String
    public let cluster: String

    /// Nil when a part is not what Google allows.
    public init?(project: String, location: String, cluster: String) {
        guard GoogleNames.isProject(project), GoogleNames.isLocation(location), GoogleNames.isResource(cluster)
        else { return nil }
        self.project = project
        self.location = location
        self.cluster = cluster
    }

    /// Reads the full name.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 6, parts[0] == "projects", parts[2] == "locations", parts[4] == "clusters" else {
            return nil
        }
        self.init(project: parts[1], location: parts[3], cluster: parts[5])
    }

    public var description: String { "projects/\(project)/locations/\(location)/clusters/\(cluster)" }
}
