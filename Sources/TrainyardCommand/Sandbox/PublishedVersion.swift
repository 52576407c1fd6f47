import Encoding
import Kubernetes
import Operator

/// Tells of the version that the GCSArtifact's controller makes of a verified run.
enum PublishedVersion {
    /// The run does not wait for it; the story does, this long.
    private static let patience = Duration.seconds(10)

    static func tell(
        of job: JobView, _ manifest: JSONValue, _ sandbox: RunningSandbox, _ tell: (String) -> Void
    ) async {
        guard let name = manifest.value(at: ["spec", "outputs", "artifactRef", "name"])?.stringValue else { return }
        let clock = ContinuousClock()
        let deadline = clock.now + patience
        while clock.now < deadline {
            // A version that cannot be read now is read at the next look, or not told.
            let object = try? await sandbox.kubernetes.get(
                GCSArtifact.resourceType, namespace: job.namespace, name: name)
            let version = object?.value(at: ["status", "latestVersion"]) ?? .null
            if let title = version["name"]?.stringValue, let digest = version["digest"]?.stringValue,
                version.value(at: ["producer", "runID"])?.stringValue == job.runID || title == job.runID
            {
                tell("gcsartifact/\(name) version \(title), digest \(String(digest.prefix(19)))…")
                return
            }
            await Pause.milliseconds(200)
        }
    }
}
