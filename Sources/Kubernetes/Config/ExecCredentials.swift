import Encoding
import HTTP
import Telemetry

/// The credentials of a plugin: kept until they are about to expire or are refused; one run at a time, however many
/// requests wait for it.
actor ExecCredentials: CredentialSource {
    private struct Current {
        var issued: ExecPlugin.Issued
        var issuedAt: Timestamp
        /// From when on new ones are fetched: a minute before they expire, or a tenth of their life if that is less.
        var refreshAt: Timestamp?
        var isRefused = false

        init(_ issued: ExecPlugin.Issued, at moment: Timestamp) {
            self.issued = issued
            issuedAt = moment
            refreshAt = issued.expiresAt.map { $0 + (.zero - min(.seconds(60), max(.zero, ($0 - moment) / 10))) }
        }

        func isFresh(_ now: Timestamp) -> Bool { !isRefused && refreshAt.map { now < $0 } ?? true }
        func isValid(_ now: Timestamp) -> Bool { !isRefused && issued.expiresAt.map { now < $0 } ?? true }
    }

    /// A plugin that fails is not run again for this long: every request would start it.
    static let failurePause: Duration = .seconds(5)
    /// Credentials that are refused when they are younger than this are not fetched again: they would be the same.
    static let youngest: Duration = .seconds(10)

    nonisolated let origin: String?
    private let plugin: ExecPlugin
    private let clock: any WallClock
    private let log: Log
    private var current: Current?
    private var refresh: Task<Result<Current, APIError>, Never>?
    private var failure: (error: APIError, until: Timestamp)?

    init(_ plugin: ExecPlugin, clock: any WallClock, log: Log = .silent) {
        self.plugin = plugin
        self.clock = clock
        self.log = log
        origin = "the credentials of \(plugin.command) (\(plugin.place))"
    }

    func credential() async throws(APIError) -> Credential {
        let now = clock.now
        if let current, current.isFresh(now) { return current.issued.credential }
        let result: Result<Current, APIError>
        if let failure, now < failure.until, failure.until - now <= ExecCredentials.failurePause {
            result = .failure(failure.error)
        } else {
            result = await refreshed()
        }
        switch result {
        case .success(let fresh): return fresh.issued.credential
        case .failure(let error):
            if let current, current.isValid(clock.now) { return current.issued.credential }
            throw error
        }
    }

    func refused(_ credential: Credential) -> Bool {
        // Renewed by another request meanwhile: that one is to be tried.
        guard let current, current.issued.credential == credential else { return true }
        let age = clock.now - current.issuedAt
        if age >= .zero, age < ExecCredentials.youngest { return false }
        self.current?.isRefused = true
        return true
    }

    /// Joins the run in progress or starts one. The task is always awaited; it ends by the plugin's timeout.
    private func refreshed() async -> Result<Current, APIError> {
        if let refresh { return await refresh.value }
        let task = Task { [plugin, clock] in
            do throws(APIError) {
                return Result<Current, APIError>.success(Current(try await plugin.run(), at: clock.now))
            } catch {
                return .failure(error)
            }
        }
        refresh = task
        let result = await task.value
        refresh = nil
        switch result {
        case .success(let fresh):
            current = fresh
            failure = nil
        case .failure(let error):
            failure = (error, clock.now + ExecCredentials.failurePause)
            if current?.isValid(clock.now) == true {
                log.warning(
                    "credentials cannot be renewed; the last ones hold until they expire",
                    [.errorMessage: .string(error.message)])
            }
        }
        return result
    }
}
