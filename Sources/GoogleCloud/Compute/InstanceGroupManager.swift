public import HTTP

/// The group of machines behind a node pool, in one zone.
public struct InstanceGroupName: Sendable, Hashable {
    public let zone: LocationName
    public let name: String

    public init(zone: LocationName, name: String) {
        self.zone = zone
        self.name = name
    }

    /// Reads an entry of `NodePool.instanceGroupUrls`; nil when it is none. Only names are taken from it: a call goes to
    /// Google's host, whatever the URL says.
    public init?(url: String) {
        guard url.hasPrefix("https://"), let start = url.firstRange(of: "/projects/") else { return nil }
        let parts = url[start.upperBound...].split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[1] == "zones",
            parts[3] == "instanceGroupManagers" || parts[3] == "instanceGroups", NameKind.project.accepts(parts[0]),
            NameKind.zone.accepts(parts[2]), NameKind.instanceGroup.accepts(parts[4])
        else { return nil }
        self.init(zone: LocationName(project: parts[0], location: parts[2]), name: parts[4])
    }
}

/// How many machines a group should have, and what happens to them.
public struct InstanceGroupManager: Decodable, Sendable, Hashable {
    /// Machines by what happens to them now; absent means 0.
    public struct Actions: Decodable, Sendable, Hashable {
        public var none: Int?
        public var creating: Int?
        public var creatingWithoutRetries: Int?
        public var recreating: Int?
        public var deleting: Int?
    }

    public struct Status: Decodable, Sendable, Hashable {
        public var isStable: Bool?
    }

    public var name: String
    public var targetSize: Int?
    public var currentActions: Actions?
    public var status: Status?
}

/// A machine of a group.
public struct ManagedInstance: Decodable, Sendable, Hashable {
    public enum Action: String, Sendable, Hashable {
        case none = "NONE"
        case creating = "CREATING"
        case creatingWithoutRetries = "CREATING_WITHOUT_RETRIES"
        case recreating = "RECREATING"
        case deleting = "DELETING"
        case abandoning = "ABANDONING"
        case refreshing = "REFRESHING"
        case restarting = "RESTARTING"
        case resuming = "RESUMING"
        case starting = "STARTING"
        case stopping = "STOPPING"
        case suspending = "SUSPENDING"
        case verifying = "VERIFYING"
    }

    struct Attempt: Decodable, Sendable, Hashable {
        struct Errors: Decodable, Sendable, Hashable { var errors: [ErrorEntry]? }
        var errors: Errors?
    }

    struct ErrorEntry: Decodable, Sendable, Hashable {
        var code: String?
        var message: String?
    }

    /// A URL; absent while the machine has no name yet.
    public var instance: String?
    public var currentAction: OpenEnum<Action>?
    /// `PROVISIONING`, `STAGING`, `RUNNING`, …; absent before there is a machine.
    public var instanceStatus: String?
    var lastAttempt: Attempt?

    /// Why the last try to make the machine failed, classified (`.stockedOut`, `.quotaExceeded`, …). Only of a machine
    /// that is still being made: of others it is history.
    public var failure: APIError? {
        switch currentAction {
        case .known(.creating), .known(.recreating), .known(.creatingWithoutRetries): break
        default: return nil
        }
        guard ["PROVISIONING", "STAGING", nil, ""].contains(instanceStatus) else { return nil }
        return lastAttempt?.errors?.errors?.first.map { $0.classified() }
    }
}

extension ManagedInstance.ErrorEntry {
    func classified() -> APIError {
        GoogleCloudErrors.error(
            conditions: [StatusCondition(code: code, message: message)], message: message,
            operation: "compute.instanceGroupManagers")
    }
}

/// An error of a group in the past.
public struct ManagedInstanceError: Decodable, Sendable, Hashable {
    struct Details: Decodable, Sendable, Hashable {
        var action: OpenEnum<ManagedInstance.Action>?
    }

    /// RFC 3339.
    public var timestamp: String?
    var error: ManagedInstance.ErrorEntry?
    var instanceActionDetails: Details?

    /// What was tried.
    public var action: OpenEnum<ManagedInstance.Action>? { instanceActionDetails?.action }
    /// Classified; nil for an entry without an error.
    public var failure: APIError? { error?.classified() }
}
