import Encoding
import HTTP
import Kubernetes

/// How a failed round shows in the status: `Ready=False` with the error's reason, laid over what was planned.
enum ErrorOverlay {
    /// A status with the error in it.
    ///
    /// - Parameter planned: the status of the plan whose step failed; nil when there is no plan, because observing
    ///   failed: then the last status stays, and so does its `observedGeneration`.
    static func apply<Status: CustomResourceStatus>(
        _ error: APIError, to planned: Status?, last: Status, generation: Int64?, now: Timestamp
    ) -> Status {
        var status = planned ?? last
        if planned != nil {
            status.observedGeneration = generation ?? status.observedGeneration
            status.conditions = Conditions.merge(
                status.conditions, over: last.conditions, generation: generation, now: now)
        }
        guard isShown(error), !isSettled(status.conditions) else { return status }
        let ready = readyCondition(error, last: last.conditions, now: now)
        let progress = Condition(
            type: needsUser(error) ? "Stalled" : "Reconciling", status: .true, reason: ready.reason,
            message: ready.message, lastTransitionTime: now)
        status.conditions = Conditions.set(
            [ready, progress], removing: [needsUser(error) ? "Reconciling" : "Stalled"], in: status.conditions,
            over: last.conditions, generation: generation, now: now)
        return status
    }

    /// The condition reason of an error: a closed set.
    static func reason(_ code: APIError.Code) -> String {
        switch code {
        case .invalid: "Invalid"
        case .unauthorized: "Unauthorized"
        case .forbidden: "PermissionDenied"
        case .notFound: "NotFound"
        case .alreadyExists: "NameConflict"
        case .conflict: "Conflict"
        case .preconditionFailed: "PreconditionFailed"
        case .expired: "Expired"
        case .rateLimited: "RateLimited"
        case .quotaExceeded: "QuotaExceeded"
        case .stockedOut: "StockedOut"
        case .unavailable: "Unavailable"
        case .timeout: "Timeout"
        case .cancelled: "Cancelled"
        case .tooLarge: "TooLarge"
        case .malformedResponse: "MalformedResponse"
        case .insecure: "InsecureConnection"
        }
    }

    /// Whether somebody has to act before a retry can help.
    static func needsUser(_ error: APIError) -> Bool {
        switch error.code {
        case .invalid, .unauthorized, .forbidden, .alreadyExists, .tooLarge, .insecure: true
        case .notFound, .conflict, .preconditionFailed, .expired, .rateLimited, .quotaExceeded, .stockedOut,
            .unavailable, .timeout, .cancelled, .malformedResponse:
            false
        }
    }

    /// A conflict is observed again at once, a cancelled round is no news: neither shows.
    private static func isShown(_ error: APIError) -> Bool {
        switch error.code {
        case .conflict, .cancelled: false
        default: true
        }
    }

    /// A finished object with nothing left to do keeps what it says: a recheck that fails takes no `Ready` from it.
    private static func isSettled(_ conditions: [Condition]) -> Bool {
        (conditions.isTrue("Complete") || conditions.isTrue("Failed")) && !conditions.isTrue("Reconciling")
    }

    private static func readyCondition(_ error: APIError, last: [Condition], now: Timestamp) -> Condition {
        let reason = reason(error.code)
        var message = error.description
        if error.isTransient, let ready = last.first(ofType: "Ready"), ready.status == .false, ready.reason == reason {
            // The wording of passing failures varies from try to try; each new wording would be another write.
            message = ready.message
        }
        return Condition(type: "Ready", status: .false, reason: reason, message: message, lastTransitionTime: now)
    }
}
