/// How a front runs the instances of Cloud Run services.
public struct FrontConfiguration: Sendable {
    /// What can run, by image as the services name it.
    public var images: [String: PodProgram]
    /// Where instances have their folders and logs.
    public var stateDirectory: String
    /// Added to every instance's environment.
    public var environment: [String: String]
    /// How long an instance without requests is kept (really: up to 15 minutes).
    public var idleTimeout: Duration = .seconds(900)
    /// How long a request waits when no instance is free and no more may be started; then 429.
    public var queueTimeout: Duration = .seconds(10)
    /// No startup probe is waited for longer.
    public var startupLimit: Duration = .seconds(240)
    /// From SIGTERM to SIGKILL.
    public var grace: Duration = .seconds(10)
    /// Instances of one revision, whatever it asks for: they are processes of this machine.
    public var instanceLimit = 16
    /// What one point of a metric covers.
    public var sampling: Duration = .seconds(60)

    public init(
        images: [String: PodProgram], stateDirectory: String, environment: [String: String] = [:]
    ) {
        self.images = images
        self.stateDirectory = stateDirectory
        self.environment = environment
    }
}

/// An instance of a Cloud Run revision: a process of this machine.
public struct RunInstance: Sendable, Hashable {
    /// `projects/P/locations/R/services/S`.
    public var service: String
    public var revision: String
    public var processID: Int32
    public var port: UInt16
    /// Whether it has passed its startup probe.
    public var isReady: Bool
    /// Requests that it works on.
    public var requestCount: Int
}
