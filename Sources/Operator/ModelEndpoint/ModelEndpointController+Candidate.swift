import Encoding
import GoogleCloud
import HTTP
import Telemetry

/// What the candidate of a roll-out answers, and what is measured of it.
extension ModelEndpointController {
    /// The longest that one smoke test is waited for: a cold start may load a large model.
    private static let longestAnswer: Duration = .seconds(60)

    func observeCandidate(
        _ observation: inout ModelEndpointObservation, _ service: RunService
    ) async throws(APIError) {
        guard let candidate = observation.status.candidate, candidate.failureReason == nil, !observation.isStopped,
            observation.revision(candidate.revision)?.isReady == true
        else { return }
        if candidate.smokeTested != true {
            guard ModelEndpointRollout.lastFailure(observation) == nil else { return }
            guard let url = Self.url(of: candidate, service, hasActive: observation.status.active != nil) else {
                return
            }
            for test in ModelEndpointRollout.tests(observation) {
                observation.smokeTests.append(try await result(test, at: url, service))
            }
        } else if candidate.stepStartTime != nil, candidate.weight ?? 0 > 0 {
            for analysis in observation.rollout.analysis ?? [] {
                observation.measurements.append(
                    try await measurement(analysis, of: candidate.revision, service: service))
            }
        }
    }

    /// Where the candidate alone is reached; nil while it is not.
    private static func url(
        of candidate: ModelEndpoint.Status.Candidate, _ service: RunService, hasActive: Bool
    ) -> String? {
        guard !service.isReconciling else { return nil }
        guard hasActive else {
            // It is the latest that is ready, and gets everything: nobody may call it yet.
            guard service.latestReadyRevision?.hasSuffix("/\(candidate.revision)") == true else { return nil }
            return service.uri
        }
        return service.trafficStatuses?.first {
            $0.tag == ModelEndpointService.candidateTag && $0.revision == candidate.revision
        }?.uri
    }

    private func result(
        _ test: ModelEndpoint.Rollout.SmokeTest, at url: String, _ service: RunService
    ) async throws(APIError) -> ModelEndpoint.Status.SmokeResult {
        let limit = test.maxLatencyMilliseconds.map { Duration.milliseconds($0) + .seconds(1) } ?? Self.longestAnswer
        do throws(APIError) {
            let answer = try await invoker.send(
                test.path, body: test.body.map { Array($0.utf8) }, to: url, audience: service.uri ?? url,
                timeout: min(limit, Self.longestAnswer))
            return SmokeTests.result(test, answer, time: clock.now.wholeSeconds)
        } catch {
            // Only what the service does counts against it.
            guard [.unavailable, .timeout, .tooLarge].contains(error.code) else { throw error }
            return SmokeTests.result(test, error, time: clock.now.wholeSeconds)
        }
    }

    // MARK: Measuring

    private func measurement(
        _ analysis: ModelEndpoint.Rollout.Analysis, of revision: String, service: RunService
    ) async throws(APIError) -> Measurement {
        let counts = try await counts(of: revision, service, seconds: analysis.windowSeconds)
        let total = counts.values.reduce(0, +)
        var value: Double?
        switch analysis.metric {
        case .errorRatePercent: if total > 0 { value = (counts["5xx"] ?? 0) / total * 100 }
        case .latencyP50Milliseconds, .latencyP95Milliseconds, .latencyP99Milliseconds:
            value = try await latency(analysis, of: revision, service)
        }
        return Measurement(name: analysis.name, value: value, requestCount: Int(total.rounded()))
    }

    /// Requests of the window, by class of the answer.
    private func counts(
        of revision: String, _ service: RunService, seconds: Int
    ) async throws(APIError) -> [String: Double] {
        var query = query("request_count", of: revision, service, seconds: seconds)
        query.perSeriesAligner = "ALIGN_DELTA"
        query.crossSeriesReducer = "REDUCE_SUM"
        query.groupByFields = ["metric.label.response_code_class"]
        var counts: [String: Double] = [:]
        for series in try await monitoring.timeSeries(query, project: configuration.cluster.project).items {
            let name = series.metric?.labels?["response_code_class"] ?? ""
            counts[name, default: 0] += (series.points ?? []).compactMap { $0.value?.number }.reduce(0, +)
        }
        return counts
    }

    private func latency(
        _ analysis: ModelEndpoint.Rollout.Analysis, of revision: String, _ service: RunService
    ) async throws(APIError) -> Double? {
        var query = query("request_latencies", of: revision, service, seconds: analysis.windowSeconds)
        query.perSeriesAligner =
            switch analysis.metric {
            case .latencyP50Milliseconds: "ALIGN_PERCENTILE_50"
            case .latencyP99Milliseconds: "ALIGN_PERCENTILE_99"
            case .latencyP95Milliseconds, .errorRatePercent: "ALIGN_PERCENTILE_95"
            }
        query.crossSeriesReducer = "REDUCE_MAX"
        let series = try await monitoring.timeSeries(query, project: configuration.cluster.project).items
        return series.first?.points?.first?.value?.number
    }

    private func query(
        _ metric: String, of revision: String, _ service: RunService, seconds: Int
    ) -> TimeSeriesQuery {
        let id = service.name.split(separator: "/").last ?? ""
        let end = clock.now
        return TimeSeriesQuery(
            filter: "metric.type=\"run.googleapis.com/\(metric)\" AND resource.type=\"cloud_run_revision\" AND "
                + "resource.labels.service_name=\"\(id)\" AND resource.labels.revision_name=\"\(revision)\"",
            startTime: (end + .seconds(-seconds)).description, endTime: end.description,
            alignmentPeriodSeconds: max(60, seconds))
    }
}
