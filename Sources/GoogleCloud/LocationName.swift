/// A project's part of one location: `projects/P/locations/L`. For Compute Engine the location is a zone.
///
/// The parts are checked where a URL is built of them: a call with wrong ones throws `.invalid` and sends nothing.
public struct LocationName: Sendable, Hashable, LosslessStringConvertible {
    public let project: String
    /// A region or a zone; `-` stands for all of them in the lists that say so.
    public let location: String

    public init(project: String, location: String) {
        self.project = project
        self.location = location
    }

    /// Reads `projects/P/locations/L`; nil for anything else.
    public init?(_ description: String) {
        let parts = description.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 4, parts[0] == "projects", parts[2] == "locations", GoogleNames.isProject(parts[1]),
            NameKind.locationOrAll.accepts(parts[3])
        else { return nil }
        self.init(project: parts[1], location: parts[3])
    }

    public var description: String { "projects/\(project)/locations/\(location)" }

    var path: [PathPart] { path(.location) }

    func path(_ kind: NameKind) -> [PathPart] {
        ["projects", .checked(.project, project), "locations", .checked(kind, location)]
    }
}
