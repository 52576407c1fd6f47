import Encoding

/// The resources that the server has, by group and version.
struct Registry: Sendable {
    struct GroupVersion: Hashable, Sendable {
        var group: String
        var version: String
    }

    private var definitions: [GroupVersion: [String: ResourceDefinition]] = [:]
    /// Groups in discovery's order.
    private(set) var groups: [String] = []
    /// Changes with every definition: clients cache documents by it.
    private(set) var revision = 0

    init(_ builtIns: [ResourceDefinition]) { builtIns.forEach { add($0) } }

    func definition(group: String, version: String, plural: String) -> ResourceDefinition? {
        definitions[GroupVersion(group: group, version: version)]?[plural]
    }

    func definition(group: String, version: String, kind: String) -> ResourceDefinition? {
        definitions[GroupVersion(group: group, version: version)]?.values.first { $0.kind == kind }
    }

    func hasKind(_ kind: String, apiVersion: String) -> Bool {
        definitions.contains { $0.value.values.contains { $0.kind == kind && $0.apiVersion == apiVersion } }
    }

    /// Whether the server itself has resources in a group; those of definitions are served by another handler.
    func hasBuiltIns(in group: String) -> Bool {
        definitions.contains { $0.key.group == group && $0.value.values.contains { !$0.isCustom } }
    }

    /// Any version of a stored collection; the stored view first.
    func definition(of id: CollectionID) -> ResourceDefinition? {
        let candidates = definitions.values.flatMap(\.values).filter { $0.storage == id }
        return candidates.first { $0.group == id.group } ?? candidates.first
    }

    func definitions(in groupVersion: GroupVersion) -> [ResourceDefinition] {
        (definitions[groupVersion] ?? [:]).values.sorted { $0.plural < $1.plural }
    }

    /// The versions of a group, best first (`v1` before `v1beta1` before `v1alpha1`).
    func versions(of group: String) -> [String] {
        definitions.keys.filter { $0.group == group }.map(\.version).sorted {
            Registry.rank($1).lexicographicallyPrecedes(Registry.rank($0))
        }
    }

    func has(_ groupVersion: GroupVersion) -> Bool { definitions[groupVersion] != nil }

    mutating func add(_ definition: ResourceDefinition) {
        let key = GroupVersion(group: definition.group, version: definition.version)
        definitions[key, default: [:]][definition.plural] = definition
        if !groups.contains(definition.group) { groups.append(definition.group) }
        revision += 1
    }

    /// Removes all versions of a stored collection.
    mutating func remove(_ id: CollectionID) {
        for (key, members) in definitions {
            let rest = members.filter { $0.value.storage != id }
            definitions[key] = rest.isEmpty ? nil : rest
        }
        groups.removeAll { group in !definitions.keys.contains { $0.group == group } }
        revision += 1
    }

    /// Kubernetes' version priority as numbers that compare in order.
    private static func rank(_ version: String) -> [Int] {
        let parts = version.dropFirst().split(whereSeparator: { !$0.isNumber }).compactMap { Int($0) }
        let stage = version.contains("alpha") ? 0 : version.contains("beta") ? 1 : 2
        return [stage] + parts
    }
}
