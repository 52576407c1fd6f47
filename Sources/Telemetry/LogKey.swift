/// Every key that a log line may carry, so that one thing has one name everywhere.
public enum LogKey: String, Sendable, Hashable, CaseIterable {
    // A reconcile.
    case controller
    case object
    case uid
    case generation
    case reconcile
    case step
    case reason
    case attempt
    case next = "next.seconds"

    // A call.
    case httpAPI = "http.api"
    case httpMethod = "http.method"
    case httpPath = "http.path"
    case httpStatus = "http.status"
    case duration = "duration.ms"
    case errorCode = "error.code"
    case errorMessage = "error.message"
    case warning

    // The process.
    case version
    case address
    case identity
    case leader
    case resource
    case count
    case resourceVersion
    case signal
    case path

    // A training run.
    case run
    case rank
    case epoch
    case stepCount = "step.count"
    case loss
    case accuracy
    case imagesPerSecond = "images.per.second"
    /// A step's sum over all processes, on average.
    case allReduce = "all.reduce.ms"
    case checkpoint
    case pid
    case name
}

/// What a log line carries beside its message. Literals go in as they are, variables as `.string(…)`
/// and the like.
public typealias LogMetadata = [LogKey: LogValue]
