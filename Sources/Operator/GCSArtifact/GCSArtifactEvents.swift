import ControllerRuntime
import Kubernetes

/// Events as a function of what changed: each is told once, after the status that says the same was written.
enum GCSArtifactEvents {
    static func events(from old: GCSArtifact.Status, to new: GCSArtifact.Status) -> [Event] {
        bucketChanged(old, new) + drifted(old, new) + versionsPublished(old, new) + aliasesMoved(old, new)
            + versionsChanged(old, new) + Event.stalled(from: old.conditions, to: new.conditions)
    }

    private static func bucketChanged(_ old: GCSArtifact.Status, _ new: GCSArtifact.Status) -> [Event] {
        let ready = new.conditions.first(ofType: "Ready")
        if ready?.reason == GCSArtifactReason.updatingBucket.rawValue,
            old.conditions.first(ofType: "Ready")?.message != ready?.message
        {
            return [
                Event(
                    .normal, reason: GCSArtifactReason.updatingBucket.rawValue, action: "PatchBucket",
                    message: ready?.message ?? "")
            ]
        }
        guard new.bucket?.owned != nil, old.bucket?.owned != new.bucket?.owned, let uri = new.uri else { return [] }
        return [Event(.normal, reason: "BucketReady", action: "CreateBucket", message: "\(uri) is ready")]
    }

    private static func drifted(_ old: GCSArtifact.Status, _ new: GCSArtifact.Status) -> [Event] {
        SettingDrift.events(
            from: old.drift, to: new.drift, reason: GCSArtifactReason.drifted.rawValue, action: "CompareBucket")
    }

    private static func versionsPublished(_ old: GCSArtifact.Status, _ new: GCSArtifact.Status) -> [Event] {
        let known = Set(old.versions.map(\.name))
        return new.versions.filter { !known.contains($0.name) }.map { version in
            Event(
                .normal, reason: GCSArtifactReason.published.rawValue, action: "PublishVersion",
                message: "version \(version.name) with digest \(version.digest)")
        }
    }

    private static func versionsChanged(_ old: GCSArtifact.Status, _ new: GCSArtifact.Status) -> [Event] {
        let fine = Set(old.versions.filter { $0.verified == true }.map(\.name))
        let broken = new.versions.contains { $0.verified == false && fine.contains($0.name) }
        guard broken, let verdict = new.conditions.first(ofType: GCSArtifactVerification.condition) else { return [] }
        return [Event(.warning, reason: verdict.reason, action: "VerifyVersion", message: verdict.message)]
    }

    private static func aliasesMoved(_ old: GCSArtifact.Status, _ new: GCSArtifact.Status) -> [Event] {
        new.aliases.compactMap { alias in
            let before = old.aliases.first { $0.name == alias.name }
            guard before?.version != alias.version else { return nil }
            let from = before.map { " (was \($0.version))" } ?? ""
            return Event(
                .normal, reason: "AliasMoved", action: "ResolveAlias",
                message: "\(alias.name) is \(alias.version)\(from)")
        }
    }
}
