import Encoding

/// All that is known at the end of a run: what `--json` prints and the summary shows.
struct RunResult: Equatable, Sendable {
    /// `Complete`, `Failed`, `Suspended`, …: the last state that was seen.
    var state: String
    var runID: String?
    var metrics: TrainingMetrics?
    /// Training images per second of training time.
    var imagesPerSecond: Double?
    var job: JobView?
    /// Compute that the simulated cloud still has.
    var cloudResourcesRemaining: Int
    var outputDirectory: String?
    /// Absent where the files hold no ModelEndpoint.
    var endpoint: EndpointResult?

    /// The object that `--json` prints.
    var json: JSONValue {
        var json: JSONValue = .object([
            "state": .string(state),
            "reason": text(job?.reason),
            "runID": text(runID),
            "metrics": metrics?.last ?? .null,
            "imagesPerSecond": imagesPerSecond.map { .number(($0 * 10).rounded() / 10) } ?? .null,
            "capacityAttempts": .array((job?.attempts ?? []).map(attempt)),
            "attempts": .array((job?.runAttempts ?? []).map(runAttempt)),
            "restarts": .integer(Int64(job?.restarts ?? 0)),
            "restartsCountTowardsMax": .integer(Int64(job?.restartsCountTowardsMax ?? 0)),
            "outputs": .array((job?.outputs ?? []).map(output)),
            "cost": job?.cost.map(cost) ?? .null,
            "cloudResourcesRemaining": .integer(Int64(cloudResourcesRemaining)),
            "outputDirectory": text(outputDirectory),
        ])
        if let endpoint { json["endpoint"] = endpoint.json }
        return json
    }

    private func attempt(_ attempt: JobView.CapacityAttempt) -> JSONValue {
        .object([
            "candidate": .string(attempt.candidate), "zone": text(attempt.zone), "result": .string(attempt.result),
            "code": text(attempt.code), "message": text(attempt.message), "count": .integer(Int64(attempt.count)),
        ])
    }

    private func runAttempt(_ attempt: JobView.RunAttempt) -> JSONValue {
        .object([
            "number": .integer(Int64(attempt.number)), "cause": text(attempt.cause),
            "fromStep": attempt.fromStep.map { .integer(Int64($0)) } ?? .null,
            "toStep": attempt.toStep.map { .integer(Int64($0)) } ?? .null,
        ])
    }

    private func output(_ output: JobView.Output) -> JSONValue {
        .object([
            "path": .string(output.path), "sizeBytes": output.sizeBytes.map(JSONValue.integer) ?? .null,
            "crc32c": text(output.crc32c), "verified": .bool(output.isVerified),
        ])
    }

    private func cost(_ cost: JobView.Cost) -> JSONValue {
        .object([
            "currencyCode": .string(cost.currencyCode), "accrued": .string(cost.accrued),
            "hourlyRate": text(cost.hourlyRate), "basis": text(cost.basis),
        ])
    }

    private func text(_ value: String?) -> JSONValue { value.map(JSONValue.string) ?? .null }
}
