/// Whose matter a reason is.
public enum FailureClass: String, Sendable, Hashable, CaseIterable {
    case userCode = "UserCode"
    case infrastructure = "Infrastructure"
    case capacity = "Capacity"
    case quota = "Quota"
    case permission = "Permission"
    case configuration = "Configuration"
    case budget = "Budget"
    case controller = "Controller"
}

/// Why a condition of a TrainingJob is as it is: a closed set, the same words in conditions, events and attempts.
public enum Reason: String, Sendable, Hashable, CaseIterable {
    // Before machines are there.
    case pending = "Pending"
    case waitingForInputs = "WaitingForInputs"
    case invalidSpec = "InvalidSpec"
    case awaitingPreflight = "AwaitingPreflight"
    case waitingForQueue = "WaitingForQueue"
    case provisioning = "Provisioning"
    case operationQueued = "OperationQueued"
    case stockedOut = "StockedOut"
    case quotaExceeded = "QuotaExceeded"
    case permissionDenied = "PermissionDenied"
    case notAllowed = "NotAllowed"
    case capacityUnavailable = "CapacityUnavailable"
    case reservationUnavailable = "ReservationUnavailable"
    case bookingExpired = "BookingExpired"
    case capacityRevoked = "CapacityRevoked"
    case maxHourlyCostExceeded = "MaxHourlyCostExceeded"
    case kernelIncompatible = "KernelIncompatible"
    case flavorNotOffered = "FlavorNotOffered"
    case pendingDeadlineExceeded = "PendingDeadlineExceeded"
    case timedOut = "TimedOut"
    case recreateBudgetExceeded = "RecreateBudgetExceeded"
    case priceUnknown = "PriceUnknown"
    case nameConflict = "NameConflict"
    case acquired = "Acquired"
    // While it runs.
    case training = "Training"
    case recovering = "Recovering"
    case verifying = "Verifying"
    case preempted = "Preempted"
    case evicted = "Evicted"
    case hostMaintenance = "HostMaintenance"
    case maxRunDurationReached = "MaxRunDurationReached"
    case nodeUnhealthy = "NodeUnhealthy"
    case oomKilled = "OOMKilled"
    case containerFailed = "ContainerFailed"
    case selfTestFailed = "SelfTestFailed"
    case imagePullFailed = "ImagePullFailed"
    case podsNotStarted = "PodsNotStarted"
    case storageUnavailable = "StorageUnavailable"
    case stepStalled = "StepStalled"
    case newRunQueued = "NewRunQueued"
    // How it ends.
    case succeeded = "Succeeded"
    case alreadyComplete = "AlreadyComplete"
    case markerUnreadable = "MarkerUnreadable"
    case outputMissing = "OutputMissing"
    case outputChecksumMismatch = "OutputChecksumMismatch"
    case assertionFailed = "AssertionFailed"
    case partialOutputs = "PartialOutputs"
    case restartLimitExceeded = "RestartLimitExceeded"
    case deadlineExceeded = "DeadlineExceeded"
    case budgetExceeded = "BudgetExceeded"
    case withinBudget = "WithinBudget"
    case cancelled = "Cancelled"
    case superseded = "Superseded"
    case controllerError = "ControllerError"
    case revisionUnreadable = "RevisionUnreadable"
    // Hygiene.
    case planned = "Planned"
    case keepingIdle = "KeepingIdle"
    case computeRetained = "ComputeRetained"
    case nothingCreated = "NothingCreated"
    case computeHeld = "ComputeHeld"
    case releasingCompute = "ReleasingCompute"
    case released = "Released"
    case suspending = "Suspending"
    case suspended = "Suspended"
    case deleting = "Deleting"

    /// Whose matter it is; nil where nothing is wrong.
    public var failureClass: FailureClass? {
        switch self {
        case .containerFailed, .oomKilled, .outputMissing, .assertionFailed, .restartLimitExceeded: .userCode
        case .preempted, .hostMaintenance, .maxRunDurationReached, .nodeUnhealthy, .stepStalled, .selfTestFailed,
            .storageUnavailable, .outputChecksumMismatch, .recreateBudgetExceeded:
            .infrastructure
        case .stockedOut, .capacityUnavailable, .timedOut, .reservationUnavailable, .pendingDeadlineExceeded,
            .bookingExpired, .capacityRevoked:
            .capacity
        case .quotaExceeded, .evicted: .quota
        case .permissionDenied, .notAllowed: .permission
        case .invalidSpec, .nameConflict, .imagePullFailed, .podsNotStarted, .kernelIncompatible, .markerUnreadable,
            .flavorNotOffered:
            .configuration
        case .deadlineExceeded, .maxHourlyCostExceeded, .budgetExceeded, .priceUnknown: .budget
        case .controllerError, .revisionUnreadable: .controller
        case .pending, .waitingForInputs, .awaitingPreflight, .waitingForQueue, .provisioning, .operationQueued,
            .acquired, .training, .recovering, .verifying, .newRunQueued, .succeeded, .alreadyComplete, .cancelled,
            .superseded, .keepingIdle, .nothingCreated, .computeHeld, .computeRetained, .partialOutputs,
            .releasingCompute, .released, .suspending, .suspended, .deleting, .withinBudget, .planned:
            nil
        }
    }

    /// What the user can do about it; nil where there is nothing.
    public var hint: String? { Reason.hints[self] }

    private static let hints: [Reason: String] = [
        .hostMaintenance: "Nothing to do: the run goes on from its last checkpoint.",
        .maxRunDurationReached: "Write checkpoints often enough for the limit, or raise it.",
        .containerFailed: "Read the pod's log; exit codes are listed in crds/trainingjobs.md.",
        .selfTestFailed: "Read the container's log; where one node alone fails, a rule with ReplaceNode gets another.",
        .oomKilled: "Choose a larger machineType, a smaller batch, or raise the memory limit.",
        .outputMissing: "The container exited with 0 without writing it: check outputs.required and the code.",
        .outputChecksumMismatch: "Something else wrote into the run's folder: find it, then change rerunToken.",
        .assertionFailed: "Train longer, or lower outputs.assertions; then change rerunToken.",
        .restartLimitExceeded: "Read lastFailure and the log; then change rerunToken, or raise maxRestarts.",
        .quotaExceeded: "Ask for more quota in the Google Cloud console, or add a candidate elsewhere.",
        .permissionDenied: "Grant the operator's service account the permission that the message names.",
        .notAllowed: "Choose what the tenant policy allows, or ask the platform's operators to widen it.",
        .imagePullFailed: "Check spec.trainer.image and the nodes' right to read the registry.",
        .podsNotStarted: "Check resourcesPerNode against the machine type, and serviceAccountName.",
        .revisionUnreadable: "Delete the ControllerRevision that the message names, or upgrade the operator.",
        .nameConflict: "A node pool of this name exists that is not ours: delete or rename it.",
        .budgetExceeded: "Raise budget.maxCost: a stopped run goes on; a failed one needs a new rerunToken as well.",
        .priceUnknown: "Remove the candidate, give the operator its price, or set budget.onExceeded to Warn.",
        .stepStalled: "Read the log in the message; if steps take that long, raise progress.stallDeadlineSeconds.",
        .deadlineExceeded: "Raise runtimeLimitSeconds and change rerunToken.",
        .recreateBudgetExceeded: "Find out what takes the machines away; the next try is within the hour.",
        .reservationUnavailable: "Check the reservation's name, zone, machine type and how much of it is free.",
        .kernelIncompatible: "Choose a machine that the image is built for, or build the image for the machine.",
        .flavorNotOffered: "Name the admitted ResourceFlavor as resourceFlavor of a candidate.",
        .maxHourlyCostExceeded: "Raise the candidates' maxHourlyCost, or add cheaper ones.",
        .pendingDeadlineExceeded: "Add candidates, or raise pendingDeadlineSeconds; then change rerunToken.",
        .alreadyComplete: "Nothing to do; change rerunToken to train this spec again.",
        .markerUnreadable: "Delete the marker that the message names to train again, or put the right one back.",
        .stockedOut: "Add candidates: other zones, other machine types, on-demand.",
    ]
}
