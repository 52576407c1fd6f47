import ControllerRuntime
import GoogleCloud
import Kubernetes
import Synchronization

/// Where artifacts lie, so that those whose places may overlap are found without looking at all of them: with thousands
/// of prefixes in a bucket, that look was most of a round.
///
/// Follows the store. What it names is to be compared with the objects themselves.
final class ArtifactPlaces: Sendable {
    private let artifacts: ObjectStore<GCSArtifact>
    private let index = Mutex(Index())

    init(of artifacts: ObjectStore<GCSArtifact>) {
        self.artifacts = artifacts
        artifacts.observe { [weak self] change in self?.update(change.key) }
        for key in artifacts.keys { update(key) }
    }

    /// Artifacts at this place, above it and below it, and all artifacts that have the bucket itself.
    func keys(near place: StorageURI) -> Set<ObjectKey> { index.withLock { $0.keys(near: place) } }

    /// As the store has it now: changes of one object may be told out of order.
    private func update(_ key: ObjectKey) {
        index.withLock { index in index.set(artifacts[key].map(Entry.init), for: key) }
    }

    /// What of an artifact says where it lies. That of a prefix depends on another artifact's bucket.
    private struct Entry: Hashable {
        enum Root: Hashable {
            case bucket(String)
            case artifact(ObjectKey)
        }

        let root: Root?
        let path: String

        init(_ artifact: GCSArtifact) {
            let reference = artifact.spec.bucketRef.map {
                Root.artifact(ObjectKey(namespace: artifact.metadata.namespace, name: $0.name))
            }
            root = artifact.spec.bucket.map { .bucket($0.name) } ?? reference
            path = artifact.spec.prefix ?? ""
        }
    }

    /// The prefixes in one artifact's bucket.
    private struct Tenants {
        var at: [String: Set<ObjectKey>] = [:]
        /// By every folder above them.
        var below: [String: Set<ObjectKey>] = [:]

        func keys(near path: String) -> Set<ObjectKey> {
            let above = ArtifactPlaces.folders(above: path).reduce(into: Set<ObjectKey>()) {
                $0.formUnion(at[$1] ?? [])
            }
            return above.union(at[path] ?? []).union(below[path] ?? [])
        }

        mutating func insert(_ key: ObjectKey, at path: String) {
            at[path, default: []].insert(key)
            for folder in ArtifactPlaces.folders(above: path) { below[folder, default: []].insert(key) }
        }

        mutating func remove(_ key: ObjectKey, at path: String) {
            at.removeMember(key, of: path)
            for folder in ArtifactPlaces.folders(above: path) { below.removeMember(key, of: folder) }
        }
    }

    private struct Index {
        private var entries: [ObjectKey: Entry] = [:]
        private var owners: [String: Set<ObjectKey>] = [:]
        private var tenants: [ObjectKey: Tenants] = [:]

        func keys(near place: StorageURI) -> Set<ObjectKey> {
            let owners = owners[place.bucket] ?? []
            return owners.reduce(into: owners) { $0.formUnion(tenants[$1]?.keys(near: place.path) ?? []) }
        }

        mutating func set(_ entry: Entry?, for key: ObjectKey) {
            let old = entries[key]
            guard old != entry else { return }
            switch old?.root {
            case .bucket(let name)?: owners.removeMember(key, of: name)
            case .artifact(let owner)?:
                tenants[owner]?.remove(key, at: old?.path ?? "")
                if tenants[owner]?.at.isEmpty == true { tenants[owner] = nil }
            case nil: break
            }
            switch entry?.root {
            case .bucket(let name)?: owners[name, default: []].insert(key)
            case .artifact(let owner)?: tenants[owner, default: Tenants()].insert(key, at: entry?.path ?? "")
            case nil: break
            }
            entries[key] = entry
        }
    }

    /// `a/b/c/`: the bucket itself (""), `a/` and `a/b/`.
    private static func folders(above path: String) -> [String] {
        guard !path.isEmpty else { return [] }
        let ends = path.indices.dropLast().filter { path[$0] == "/" }
        return [""] + ends.map { String(path[...$0]) }
    }
}

extension Dictionary where Value == Set<ObjectKey> {
    fileprivate mutating func removeMember(_ member: ObjectKey, of key: Key) {
        self[key]?.remove(member)
        if self[key]?.isEmpty == true { self[key] = nil }
    }
}
