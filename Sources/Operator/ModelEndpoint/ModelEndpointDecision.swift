import ControllerRuntime

/// What a rule of the chain decided: what to do, the facts to write, and where the object stands.
struct ModelEndpointDecision: Sendable, Equatable {
    typealias Step = Plan<ModelEndpoint.Status, ModelEndpointAction>.Step
    typealias Next = Plan<ModelEndpoint.Status, ModelEndpointAction>.Next

    var steps: [Step] = []
    /// With the facts that this round adds; what can be derived is filled in afterwards.
    var status: ModelEndpoint.Status
    var situation: ModelEndpointSituation
    var next: Next = .whenChanged

    /// Writes facts that must be in the status before they are acted on: no steps, and another look at once.
    static func record(_ status: ModelEndpoint.Status, _ situation: ModelEndpointSituation) -> ModelEndpointDecision {
        ModelEndpointDecision(status: status, situation: situation, next: .after(.zero))
    }
}

/// Where a ModelEndpoint stands: all of its main conditions follow from it.
enum ModelEndpointSituation: Sendable, Equatable {
    /// On the way.
    case waiting(ModelEndpointReason, String)
    /// Nothing goes on until the user acts.
    case actionRequired(ModelEndpointReason, String)
    /// The desired model serves.
    case serving
    case suspended
    /// `mode: Plan`: nothing is done.
    case planned(String)
    case deleting(String)
}

/// Why a condition of a ModelEndpoint is as it is: a closed set, the same words in conditions and events.
public enum ModelEndpointReason: String, Sendable, Hashable, CaseIterable {
    case serving = "Serving"
    case suspended = "Suspended"
    case notServing = "NotServing"
    // On the way.
    case artifactNotFound = "ArtifactNotFound"
    case versionNotFound = "VersionNotFound"
    case storageUnavailable = "StorageUnavailable"
    case creatingService = "CreatingService"
    case adoptingService = "AdoptingService"
    case updatingService = "UpdatingService"
    case updatingAccess = "UpdatingAccess"
    case deploying = "Deploying"
    case smokeTesting = "SmokeTesting"
    case rollingOut = "RollingOut"
    case awaitingPromotion = "AwaitingPromotion"
    case suspending = "Suspending"
    // Nothing is done, or only by the clock.
    case planned = "Planned"
    case warmWindow = "WarmWindow"
    // The user must act.
    case invalidSpec = "InvalidSpec"
    case notAllowed = "NotAllowed"
    case nameConflict = "NameConflict"
    case versionNotVerified = "VersionNotVerified"
    case requirementsNotMet = "RequirementsNotMet"
    case rolledBack = "RolledBack"
    case revisionFailed = "RevisionFailed"
    case smokeTestFailed = "SmokeTestFailed"
    case analysisFailed = "AnalysisFailed"
    case modelChanged = "ModelChanged"
    case progressDeadlineExceeded = "ProgressDeadlineExceeded"
    case processorFailed = "ProcessorFailed"
    case surgeTooExpensive = "SurgeTooExpensive"
    case budgetExceeded = "BudgetExceeded"
    case withinBudget = "WithinBudget"
    case costNotMeasured = "CostNotMeasured"
    case settingRefused = "SettingRefused"
    // Settings that are only watched.
    case applied = "Applied"
    case drifted = "Drifted"
    // The end.
    case deleting = "Deleting"

    /// What the user can do about it; nil where there is nothing.
    public var hint: String? {
        switch self {
        case .artifactNotFound: "Make the GCSArtifact that spec.model.artifactRef names, or correct the name."
        case .versionNotFound: "Publish a version, or point spec.model.artifactRef at one that exists."
        case .notAllowed: "Choose what the tenant policy allows, or ask the platform's operators to widen it."
        case .nameConflict: "Delete or relabel the Cloud Run service that the message names."
        case .versionNotVerified: "Look at the artifact's condition Verified: its files are not as published."
        case .requirementsNotMet: "Train a better version, or lower spec.model.requirements."
        case .rolledBack, .revisionFailed, .smokeTestFailed, .analysisFailed, .modelChanged:
            "Publish another version or change spec.predictor: the same is not tried again."
        case .progressDeadlineExceeded: "Read the revision's log; raise rollout.progressDeadlineSeconds if it is slow."
        case .processorFailed: "Read the processor's log, and change its image or settings."
        case .surgeTooExpensive: "Raise rollout.maxSurgeHourlyCost, or lower scaling.minReplicas."
        case .budgetExceeded: "Raise spec.budget.maxMonthlyCost, or wait for the next month."
        case .costNotMeasured: "Give the operator roles/monitoring.viewer."
        case .settingRefused: "Describe the setting as Cloud Run keeps it, or see who sets it back."
        case .awaitingPromotion: "Annotate the object with trainyard.dev/promote=REVISION."
        default: nil
        }
    }
}
