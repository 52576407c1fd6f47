import Encoding
import GoogleCloud
import HTTP
import Synchronization
import Telemetry

/// What was asked of Cloud Monitoring a moment ago: it counts minutes, and need not be asked in every round.
final class BillingMemory: Sendable {
    private struct Entry {
        var time: Duration
        var answer: BillingObservation
    }

    private static let freshness: Duration = .seconds(300)
    private static let limit = 4096
    private let entries = Mutex<[String: Entry]>([:])

    func answer(_ uid: String, now: Duration) -> BillingObservation? {
        entries.withLock { entries in
            guard let entry = entries[uid], now - entry.time < Self.freshness else { return nil }
            return entry.answer
        }
    }

    func remember(_ answer: BillingObservation, _ uid: String, now: Duration) {
        entries.withLock { entries in
            if entries.count >= Self.limit { entries = [:] }
            entries[uid] = Entry(time: now, answer: answer)
        }
    }
}

extension ModelEndpointController {
    /// How long instances were paid for in this month, where a budget needs it.
    ///
    /// - Throws: only `.cancelled`: an endpoint serves also where nothing can be measured.
    func billing(_ observation: ModelEndpointObservation, _ service: RunService) async throws(APIError)
        -> BillingObservation
    {
        guard observation.spec.budget != nil else { return .notAsked }
        let uid = observation.uid
        if let known = billingMemory.answer(uid, now: clock.uptime) { return known }
        let answer: BillingObservation
        do throws(APIError) {
            answer = .measured(try await billableTime(service, observation))
        } catch {
            if error.code == .cancelled { throw error }
            answer = .unknown(error.code.rawValue)
        }
        billingMemory.remember(answer, uid, now: clock.uptime)
        return answer
    }

    private func billableTime(
        _ service: RunService, _ observation: ModelEndpointObservation
    ) async throws(APIError) -> Duration {
        let id = service.name.split(separator: "/").last ?? ""
        let location = ModelEndpointService.location(observation).location
        let (end, start) = (observation.now, ModelEndpointBudget.monthStart(observation.now))
        let seconds = max(60, Int(((end - start) / .seconds(1)).rounded(.up)))
        var query = TimeSeriesQuery(
            filter: "metric.type=\"run.googleapis.com/container/billable_instance_time\" AND "
                + "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"\(id)\" AND "
                + "resource.labels.location=\"\(location)\"",
            startTime: (end + .seconds(-seconds)).description, endTime: end.description,
            alignmentPeriodSeconds: seconds)
        query.perSeriesAligner = "ALIGN_DELTA"
        query.crossSeriesReducer = "REDUCE_SUM"
        let series = try await monitoring.timeSeries(query, project: configuration.cluster.project).items
        let total = series.flatMap { $0.points ?? [] }.compactMap { $0.value?.number }.reduce(0, +)
        guard total.isFinite, total >= 0, total < 1e12 else { return .zero }
        return .milliseconds(Int64(total * 1000))
    }

    /// The rules of the time zones that warm windows name; those that are not known are left out.
    func zones(_ spec: ModelEndpoint.Spec) -> [String: ZoneRules] {
        var zones: [String: ZoneRules] = [:]
        for name in ModelEndpointWindows.zoneNames(spec) { zones[name] = zoneRules(name) }
        return zones
    }
}
