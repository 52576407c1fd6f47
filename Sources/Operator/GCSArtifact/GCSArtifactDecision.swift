import ControllerRuntime

/// What a rule of the chain decided: what to do, the facts to write, and where the object stands.
struct GCSArtifactDecision: Sendable, Equatable {
    typealias Step = Plan<GCSArtifact.Status, GCSArtifactAction>.Step
    typealias Next = Plan<GCSArtifact.Status, GCSArtifactAction>.Next

    var steps: [Step] = []
    /// With the facts that this round adds; what can be derived is filled in afterwards.
    var status: GCSArtifact.Status
    var situation: GCSArtifactSituation
    var next: Next = .whenChanged

    /// Writes facts that must be in the status before they are acted on: no steps, and another look at once.
    static func record(_ status: GCSArtifact.Status, _ situation: GCSArtifactSituation) -> GCSArtifactDecision {
        GCSArtifactDecision(status: status, situation: situation, next: .after(.zero))
    }
}

/// Where a GCSArtifact stands: all of its main conditions follow from it.
enum GCSArtifactSituation: Sendable, Equatable {
    /// On the way.
    case waiting(GCSArtifactReason, String)
    /// Nothing goes on until the user acts.
    case actionRequired(GCSArtifactReason, String)
    case ready
    case deleting(String)
    /// The deletion cannot go on without somebody.
    case deletionBlocked(GCSArtifactReason, String)
}

/// Why a condition of a GCSArtifact is as it is: a closed set, the same words in conditions and events.
public enum GCSArtifactReason: String, Sendable, Hashable, CaseIterable {
    case ready = "Ready"
    // On the way.
    case bucketNotReady = "BucketNotReady"
    case creatingBucket = "CreatingBucket"
    case adoptingBucket = "AdoptingBucket"
    case updatingBucket = "UpdatingBucket"
    case updatingAccess = "UpdatingAccess"
    // The user must act.
    case invalidSpec = "InvalidSpec"
    case notAllowed = "NotAllowed"
    case prefixConflict = "PrefixConflict"
    case managementConflict = "ManagementConflict"
    case bucketNotOurs = "BucketNotOurs"
    case retentionLocked = "RetentionLocked"
    case settingRefused = "SettingRefused"
    case locationMismatch = "LocationMismatch"
    // Settings that are only watched.
    case applied = "Applied"
    case drifted = "Drifted"
    // Versions and aliases.
    case published = "Published"
    case publishing = "Publishing"
    case uploading = "Uploading"
    case copying = "Copying"
    case sourceNotFound = "SourceNotFound"
    case sourceInvalid = "SourceInvalid"
    case checksumMismatch = "ChecksumMismatch"
    case versionNameInvalid = "VersionNameInvalid"
    case outputChanged = "OutputChanged"
    case requiredFileMissing = "RequiredFileMissing"
    case malformedModel = "MalformedModel"
    case verified = "Verified"
    case versionChanged = "VersionChanged"
    case granted = "Granted"
    case configuring = "Configuring"
    case configured = "Configured"
    case notificationRefused = "NotificationRefused"
    case signed = "Signed"
    case signing = "Signing"
    case signingFailed = "SigningFailed"
    case secretNotOurs = "SecretNotOurs"
    case withinBudget = "WithinBudget"
    case overBudget = "OverBudget"
    case manifestConflict = "ManifestConflict"
    case storageUnavailable = "StorageUnavailable"
    case resolved = "Resolved"
    case versionNotFound = "VersionNotFound"
    // The end.
    case deleting = "Deleting"
    case confirmationRequired = "ConfirmationRequired"
    case inUse = "InUse"
    case bucketNotEmpty = "BucketNotEmpty"
    case permissionDenied = "PermissionDenied"
}
